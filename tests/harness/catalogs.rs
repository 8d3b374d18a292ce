//! Owns a catalog server for a test: PostgreSQL behind a proxy, or a catalog of Iceberg's REST protocol, a process of its
//! own that makes commits go wrong when it is asked to. It ends with the value, and with the test's process.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};

/// Versions of PostgreSQL, each with its server once it was asked for, which ends with the process.
static DATABASES: [(u32, Mutex<Option<CatalogServer>>); 2] = [(16, Mutex::new(None)), (18, Mutex::new(None))];

/// The address of a database that nobody has used, on PostgreSQL of this version. Blocks.
pub fn fresh(python: &Path, version: u32) -> String {
    let (_, server) = DATABASES.iter().find(|(of, _)| *of == version).expect("there is such a version");
    let mut server = server.lock().unwrap_or_else(PoisonError::into_inner);
    let server = server.get_or_insert_with(|| CatalogServer::database(python, version));
    server.forget();
    server.told("url").expect("a server tells its address").to_owned()
}

/// The running server.
#[derive(Debug)]
pub struct CatalogServer {
    child: Child,
    /// It ends when this is closed.
    stdin: Option<ChildStdin>,
    told: Value,
}

impl CatalogServer {
    /// PostgreSQL, with the Python of `cargo xtask backends`.
    pub fn postgres(python: &Path) -> Self {
        Self::start(python, "postgres.py", &json!({}))
    }

    /// PostgreSQL of this version, where nothing goes wrong.
    fn database(python: &Path, version: u32) -> Self {
        Self::start(python, "postgres.py", &json!({"version": version, "direct": true}))
    }

    /// PostgreSQL 18 whose commits wait for the disk, as on a server; where nothing goes wrong.
    pub fn durable(python: &Path) -> Self {
        Self::start(python, "postgres.py", &json!({"version": 18, "direct": true, "durable": true}))
    }

    /// PostgreSQL 18 that can be killed; where nothing else goes wrong.
    pub fn killable(python: &Path) -> Self {
        Self::database(python, 18)
    }

    /// A REST catalog. `given`: see the script.
    pub fn rest(python: &Path, given: &Value) -> Self {
        Self::start(python, "rest_catalog.py", given)
    }

    fn start(python: &Path, script: &str, given: &Value) -> Self {
        let script = Path::new(file!()).with_file_name(script);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|above| above.join(&script).exists());
        let script = root.expect("the script is beside this file").join(script);
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(given.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        let mut child = command.spawn().expect("Python starts");
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("the server tells where it is");
        let told = serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("the catalog does not start ({error}): run `cargo xtask backends`"));
        Self { child, stdin, told }
    }

    /// Its `url`, `token` or `warehouse`.
    pub fn told(&self, name: &str) -> Option<&str> {
        self.told[name].as_str()
    }

    /// What PyIceberg opens it by.
    pub fn pyiceberg(&self) -> Value {
        let url = self.told("url").expect("it tells where it is");
        match url.strip_prefix("postgres") {
            Some(rest) => json!({"type": "sql", "uri": format!("postgresql+psycopg2{rest}")}),
            None => {
                json!({"type": "rest", "uri": url, "token": self.told("token"), "warehouse": self.told("warehouse")})
            }
        }
    }

    /// Has no tables any more: it tells of another database or warehouse from now on.
    pub fn forget(&mut self) {
        let told = self.ask("POST /fresh/1");
        for (name, text) in told.as_object().expect("it tells what is another") {
            self.told[name] = text.clone();
        }
    }

    /// Makes the next `count` commits go wrong, in one of the ways that the script tells. `away` is a state: 1 or 0.
    pub fn fail(&self, kind: &str, count: usize) {
        self.ask(&format!("POST /{kind}/{count}"));
    }

    /// Kills (-9) a database, and returns when it has been started again on what it had.
    pub fn kill(&self) {
        self.ask("POST /killed/1");
    }

    /// How many commits have gone wrong in a way.
    pub fn met(&self, kind: &str) -> u64 {
        self.ask("GET /")["met"][kind].as_u64().unwrap_or(0)
    }

    /// Returns when nothing is to go wrong any more, and no commit is to be done of which the client has heard nothing.
    pub fn settle(&self) {
        while !matches!(self.ask("GET /"), state if state["late"] == 0 && state["armed"] == 0) {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ask(&self, request: &str) -> Value {
        let port = self.told["control"].as_u64().expect("a port") as u16;
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server can be asked");
        stream.write_all(format!("{request} HTTP/1.0\r\n\r\n").as_bytes()).expect("it takes what is asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("it answers in HTTP");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{request}: {error}: {answer}"))
    }
}

impl Drop for CatalogServer {
    fn drop(&mut self) {
        // It ends what it has started before it ends itself.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
