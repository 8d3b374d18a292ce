//! Owns processes that serve: starts them, waits until they answer, ends them. Never measures.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::Context as _;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::{client::legacy, rt::TokioExecutor};
use proto::events::v1::events_service_client::EventsServiceClient;
use tonic::transport::{Channel, Endpoint};

pub(crate) type HttpClient = legacy::Client<legacy::connect::HttpConnector, http_body_util::Full<bytes::Bytes>>;

/// A server on a free port of loopback, with a directory of its own; ended when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) dir: tempfile::TempDir,
    program: &'static str,
    arguments: Vec<String>,
    child: Child,
}

impl Server {
    /// `annals serve`, not yet ready.
    pub(crate) fn spawn() -> anyhow::Result<Self> {
        Self::spawn_with(&[])
    }

    /// `annals serve` with more arguments, not yet ready.
    pub(crate) fn spawn_with(arguments: &[&str]) -> anyhow::Result<Self> {
        Self::spawn_program("annals", &[&["serve"], arguments].concat())
    }

    /// One of the servers with these arguments, not yet ready.
    pub(crate) fn spawn_program(program: &'static str, arguments: &[&str]) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("annals-bench").tempdir_in(directory()?)?;
        let address = free_address()?;
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = serve(program, address, dir.path(), &arguments)?;
        Ok(Self { address, dir, program, arguments, child })
    }

    /// Kills it, for [`Server::restart`].
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// The same program again on the same data and address, not yet ready.
    pub(crate) fn restart(&mut self) -> anyhow::Result<()> {
        self.child = serve(self.program, self.address, self.dir.path(), &self.arguments)?;
        Ok(())
    }

    /// `annals serve`, ready.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// `annals serve` with more arguments, ready.
    pub(crate) async fn start_with(arguments: &[&str]) -> anyhow::Result<Self> {
        let server = Self::spawn_with(arguments)?;
        server.ready().await?;
        Ok(server)
    }

    /// The baseline of `get`, accepting.
    pub(crate) async fn echo() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let address = free_address()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["echo", "--listen", &address.to_string()])
            .spawn()
            .context("cannot start the echo server")?;
        while tokio::net::TcpStream::connect(address).await.is_err() {
            anyhow::ensure!(child.try_wait()?.is_none(), "the echo server ended");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Self { address, dir, program: "benches", arguments: Vec::new(), child })
    }

    /// Waits until every service is ready.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let client = legacy::Client::builder(TokioExecutor::new()).build_http::<Empty<bytes::Bytes>>();
        let page: http::Uri = format!("http://{}/_/readyz", self.address).parse()?;
        for _ in 0..30_000 {
            if client.get(page.clone()).await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::bail!("annals was not ready within 30 s")
    }

    /// `annals import` into the namespace `ns`, with more arguments.
    pub(crate) async fn import(
        &self,
        ns: &str,
        thing_type: &str,
        arguments: &[&str],
        file: &Path,
    ) -> anyhow::Result<()> {
        let status = tokio::process::Command::new(sibling("annals")?)
            .args(["import", "--server", &self.url(), "--ns", ns, "--type", thing_type])
            .args(arguments)
            .arg(std::path::absolute(file)?)
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await?;
        anyhow::ensure!(status.success(), "annals import failed");
        Ok(())
    }

    /// A connection of its own to events.
    pub(crate) async fn events(&self) -> anyhow::Result<EventsServiceClient<Channel>> {
        Ok(EventsServiceClient::new(Endpoint::new(self.url())?.tcp_nodelay(true).connect().await?))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes of memory that the process has resident.
    pub(crate) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: u64 = statm.split(' ').nth(1).context("statm has a second field")?.parse()?;
        Ok(pages * 4096)
    }

    /// The most memory that the process has had resident, in bytes.
    pub(crate) fn peak_bytes(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux says VmHWM")?;
        Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(program: &str, address: SocketAddr, dir: &Path, arguments: &[String]) -> anyhow::Result<Child> {
    Command::new(sibling(program)?)
        .args(arguments)
        .args(["--listen", &address.to_string(), "--data-dir"])
        .arg(dir.join("data"))
        .current_dir(dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot start {program}"))
}

pub(crate) fn http_client() -> HttpClient {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

/// The body of an answer that must be a success.
pub(crate) async fn body(answer: http::Response<hyper::body::Incoming>) -> anyhow::Result<bytes::Bytes> {
    let (head, body) = answer.into_parts();
    let bytes = body.collect().await?.to_bytes();
    anyhow::ensure!(head.status.is_success(), "{}: {}", head.status, String::from_utf8_lossy(&bytes));
    Ok(bytes)
}

/// The program of that name beside this one.
pub(crate) fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    anyhow::ensure!(path.exists(), "{} is not built: run `cargo xtask bench`", path.display());
    Ok(path)
}

/// The Python of `cargo xtask backends`, which is beside the builds.
pub(crate) fn python() -> anyhow::Result<PathBuf> {
    let path = directory()?.with_file_name("backends/venv/bin/python");
    anyhow::ensure!(path.exists(), "{} is not there: run `cargo xtask backends`", path.display());
    Ok(path)
}

/// Where data goes: beside this program, on the disk of the build and not in memory.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    program.parent().map(Path::to_owned).context("a program is in a directory")
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
