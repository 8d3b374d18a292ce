//! A small directory on a disk that forgets, and Python programs that run on it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::LazyLock;

use harness::disk::Disk;
use tempfile::TempDir;

/// Prepares every program: `os` and `sys`, libc, `opened` to open a file for both, `sync` to sync what has a path, and
/// `die` to end as kill -9 does.
const PRELUDE: &str = r"
import ctypes, os, signal, sys
libc = ctypes.CDLL(None, use_errno=True)

def opened(path, flags=0):
    return os.open(path, os.O_RDWR | flags)

def sync(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)

def die():
    os.kill(os.getpid(), signal.SIGKILL)
";

/// The interpreter itself: `python3` may be a launcher that takes longer than the program.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let mut ask = Command::new("python3");
    let answer = ask.args(["-I", "-c", "import sys; print(sys.executable)"]).output().expect("python3 starts");
    PathBuf::from(String::from_utf8(answer.stdout).expect("a path").trim())
});

/// Path and content of every file; directories end with a slash and hold nothing.
pub(crate) type Files = BTreeMap<String, String>;

pub(crate) struct Scene {
    pub(crate) disk: Disk,
    around: TempDir,
}

impl Scene {
    /// A data directory with these files (and, ending with a slash, directories), all synced.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let around = tempfile::tempdir().expect("a temporary directory");
        let data_dir = around.path().join("data");
        fs::create_dir(&data_dir).expect("created");
        for (path, content) in files {
            let whole = data_dir.join(path);
            if path.ends_with('/') {
                fs::create_dir_all(whole).expect("created");
            } else {
                fs::create_dir_all(whole.parent().expect("below the data directory")).expect("created");
                fs::write(whole, content).expect("written");
            }
        }
        let disk = Disk::of(data_dir).expect("the shim compiles");
        Self { disk, around }
    }

    /// Applies a knob of the disk.
    pub(crate) fn on(mut self, knob: impl FnOnce(Disk) -> Disk) -> Self {
        self.disk = knob(self.disk);
        self
    }

    /// A program in the data directory, after the prelude.
    pub(crate) fn python(&self, program: &str) -> Command {
        let mut command = Command::new(&*PYTHON);
        command.args(["-I", "-c", &format!("{PRELUDE}\n{program}")]).current_dir(self.disk.data_dir());
        command
    }

    /// Runs a program that ends by itself.
    pub(crate) fn run(&self, program: &str) -> ExitStatus {
        let running = self.disk.start(&mut self.python(program)).expect("python3 starts");
        running.wait().expect("python3 ends")
    }

    /// Runs a program that dies at its end, cuts the power, and tells what is left.
    #[track_caller]
    pub(crate) fn after(&self, program: &str) -> Files {
        let status = self.run(&format!("{program}\ndie()"));
        assert_eq!(status.signal(), Some(9), "the program fails before its end:\n{program}");
        self.disk.lose_power().expect("restored");
        self.files()
    }

    pub(crate) fn files(&self) -> Files {
        let mut files = Files::new();
        collect(self.disk.data_dir(), "", &mut files);
        files
    }

    /// A path outside the data directory, gone with the scene.
    pub(crate) fn outside(&self, name: &str) -> PathBuf {
        self.around.path().join(name)
    }
}

/// What `Scene::with` would make of these.
pub(crate) fn files(files: &[(&str, &str)]) -> Files {
    files.iter().map(|(path, content)| ((*path).to_owned(), (*content).to_owned())).collect()
}

fn collect(directory: &Path, prefix: &str, files: &mut Files) {
    for entry in fs::read_dir(directory).expect("readable") {
        let entry = entry.expect("readable");
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().expect("known").is_dir() {
            let name = format!("{name}/");
            collect(&entry.path(), &name, files);
            files.insert(name, String::new());
        } else {
            let content = fs::read(entry.path()).expect("readable");
            files.insert(name, String::from_utf8_lossy(&content).into_owned());
        }
    }
}
