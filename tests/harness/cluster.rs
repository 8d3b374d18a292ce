//! Owns a running Annals for a test: all in one process, or each service in its own, wired by addresses.
//! Never shares one between tests: each has its own directory and ports of the system's choice, and all of it is gone
//! with the value.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use proto::{
    events::v1::events_service_client::EventsServiceClient, search::v1::search_service_client::SearchServiceClient,
    things::v1::things_service_client::ThingsServiceClient,
};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

pub use crate::setup::{Setup, Topology};
use crate::{http::Http, program::command, setup::SECOND};

/// A port of the system's choice.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long something is waited for: so many looks, one each [`LOOK_EVERY`].
const LOOKS: usize = 1_500;
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Setup {
    /// Starts it and waits until it is ready.
    pub async fn start(self) -> Cluster {
        let dir = tempfile::Builder::new().prefix("annals-test").tempdir().expect("a temporary directory");
        let mut cluster = Cluster {
            topology: self.topology,
            gateway: ANY,
            things: ANY,
            events: ANY,
            search: ANY,
            second: ANY,
            peer_key: format!("annals_peer_{}", "5".repeat(64)),
            setup: self,
            dir,
            processes: Vec::new(),
        };
        if let Some(keys) = &cluster.setup.keys {
            fs::write(cluster.keys_file(), keys).expect("keys.toml can be written");
        }
        cluster.spawn_all().await;
        cluster.ready().await;
        cluster
    }
}

/// A running Annals; its processes end and its directory goes when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    /// How it is spread.
    pub topology: Topology,
    /// Where the gateway listens.
    pub gateway: SocketAddr,
    /// Where things listens, if it is a process of its own.
    pub things: SocketAddr,
    /// Where events listens, if it is a process of its own.
    pub events: SocketAddr,
    /// Where search listens, if it is a process of its own.
    pub search: SocketAddr,
    /// Where the second process of things listens, if there is one.
    pub second: SocketAddr,
    peer_key: String,
    setup: Setup,
    dir: TempDir,
    processes: Vec<Process>,
}

#[derive(Debug)]
struct Process {
    name: &'static str,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cluster {
    /// Starts a cluster without keys. Separate processes archive events at once, so that cases which run on both
    /// topologies meet events in the journal and in the archive.
    pub async fn start(topology: Topology) -> Self {
        let setup = Setup::new(topology);
        let setup = if topology == Topology::Separate { setup.archiving() } else { setup };
        setup.start().await
    }

    /// Gives search a setting from its next start on.
    pub fn set_search(&mut self, variable: &'static str, value: impl Into<String>) {
        self.setup.of_search.push((variable, value.into()));
    }

    /// The gateway over HTTP.
    pub fn http(&self) -> Http {
        Http::new(self.gateway)
    }

    /// A gRPC channel to the gateway.
    pub async fn channel(&self) -> Channel {
        let endpoint = Endpoint::new(format!("http://{}", self.gateway)).expect("an address is a URI");
        endpoint.connect().await.expect("the gateway accepts")
    }

    /// Things, through the gateway.
    pub async fn things(&self) -> ThingsServiceClient<Channel> {
        ThingsServiceClient::new(self.channel().await)
    }

    /// Events, through the gateway.
    pub async fn events(&self) -> EventsServiceClient<Channel> {
        EventsServiceClient::new(self.channel().await)
    }

    /// Search, through the gateway.
    pub async fn search(&self) -> SearchServiceClient<Channel> {
        SearchServiceClient::new(self.channel().await)
    }

    /// `annals ARGUMENTS` against this cluster, from `dir`.
    pub fn annals(&self, dir: &Path) -> Command {
        let mut command = command("annals");
        command.current_dir(dir).env("ANNALS_SERVER", format!("http://{}", self.gateway)).stdin(Stdio::null());
        command
    }

    /// The key that its processes share; in one process nobody knows it.
    pub fn peer_key(&self) -> &str {
        assert_ne!(self.topology, Topology::AllInOne, "in one process the peer key is minted");
        &self.peer_key
    }

    /// The directory of its data.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The file of its keys.
    pub fn keys_file(&self) -> PathBuf {
        self.dir.path().join("keys.toml")
    }

    /// Kills (-9) the process that runs `service`, and starts it again on the same data and address.
    pub async fn kill_and_restart(&mut self, service: &'static str) {
        let name = if self.topology == Topology::AllInOne { "annals" } else { service };
        self.processes.retain(|process| process.name != name);
        self.spawn(name).await;
        self.ready().await;
    }

    /// Kills (-9) the process that runs `service`, for good.
    pub fn kill(&mut self, service: &'static str) {
        let name = if self.topology == Topology::AllInOne { "annals" } else { service };
        self.processes.retain(|process| process.name != name);
    }

    async fn spawn_all(&mut self) {
        if self.topology == Topology::AllInOne {
            return self.spawn("annals").await;
        }
        // Each is told where the ones before it are.
        self.spawn("events").await;
        if let Some(proxy) = &self.setup.proxy {
            proxy.target.set(self.events).expect("a proxy has one target");
        }
        self.spawn("things").await;
        if self.topology == Topology::Replicas {
            return self.spawn(SECOND).await;
        }
        self.spawn("search").await;
        self.spawn("gateway").await;
    }

    /// Starts a program and returns when it listens: where it did before, if it did.
    async fn spawn(&mut self, name: &'static str) {
        let listen = *self.address(name);
        for _ in 0..LOOKS {
            let child =
                self.command(name, listen).spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
            self.processes.push(Process { name, child });
            if let Some(address) = self.listening(name).await {
                *self.address(name) = address;
                return;
            }
            // While it was away, somebody else was given its port.
            self.processes.pop();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{name} never has {listen} for itself");
    }

    fn address(&mut self, name: &str) -> &mut SocketAddr {
        match name {
            "events" => &mut self.events,
            "things" => &mut self.things,
            "search" => &mut self.search,
            SECOND => &mut self.second,
            _ => &mut self.gateway,
        }
    }

    fn command(&self, name: &str, listen: SocketAddr) -> Command {
        let url = |address: SocketAddr| format!("http://{address}");
        let relay_target = self.setup.proxy.as_ref().map_or(self.events, |proxy| proxy.address);
        let mut command = command(if name == SECOND { "things" } else { name });
        match name {
            "annals" => command.arg("serve"),
            "events" => &mut command,
            "things" | SECOND => command.args(["--events", &url(relay_target)]),
            "search" => command.args(["--things", &url(self.things), "--events", &url(self.events)]),
            _ => {
                let (things, events, search) = (url(self.things), url(self.events), url(self.search));
                command.args(["--things", &things, "--events", &events, "--search", &search])
            }
        };
        command.args(["--listen", &listen.to_string()]);
        self.setup.configure(name, &mut command);
        if name != "annals" {
            command.env("ANNALS_PEER_KEY", &self.peer_key);
        }
        if self.setup.keys.is_some() {
            command.arg("--keys").arg(self.keys_file());
        }
        let log = fs::File::create(self.log(name)).expect("a log file");
        command.arg("--data-dir").arg(self.data_dir()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command
    }

    /// Where the program that was started last listens; none if another process has its port.
    async fn listening(&mut self, name: &str) -> Option<SocketAddr> {
        for _ in 0..LOOKS {
            let log = fs::read_to_string(self.log(name)).unwrap_or_default();
            let said = log.split_once("listening address=").and_then(|(_, rest)| rest.split_once('\n'));
            if let Some((address, _)) = said {
                return Some(address.parse().unwrap_or_else(|error| panic!("{error}: {address}")));
            }
            if log.contains("Address already in use") {
                return None;
            }
            self.assert_running();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("{name} does not listen within 30 s\n{}", self.logs());
    }

    /// Waits until every service answers; panics with the logs if one never does.
    async fn ready(&mut self) {
        for _ in 0..LOOKS {
            let mut ready = true;
            for server in self.servers() {
                ready &= Http::new(server).try_get("/_/readyz").await.is_ok_and(|answer| answer.status == 200);
            }
            if ready {
                return;
            }
            self.assert_running();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        panic!("not ready within 30 s\n{}", self.logs());
    }

    fn assert_running(&mut self) {
        let ended = self.processes.iter_mut().find_map(|process| {
            let status = process.child.try_wait().expect("a child can be waited for")?;
            Some(format!("{} ended with {status}", process.name))
        });
        if let Some(ended) = ended {
            panic!("{ended}\n{}", self.logs());
        }
    }

    /// The most memory that one of its processes has had at a time, in bytes.
    pub fn peak_memory(&self) -> u64 {
        let peak = |process: &Process| {
            let status = fs::read_to_string(format!("/proc/{}/status", process.child.id())).expect("it runs on Linux");
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says VmHWM");
            line.trim().trim_end_matches(" kB").parse::<u64>().expect("in kB") << 10
        };
        self.processes.iter().map(peak).max().unwrap_or_default()
    }

    /// What listens: the gateway last, because it knows of the others only what it heard last.
    fn servers(&self) -> Vec<SocketAddr> {
        match self.topology {
            Topology::AllInOne => vec![self.gateway],
            Topology::Separate => vec![self.events, self.things, self.search, self.gateway],
            Topology::Replicas => vec![self.events, self.things, self.second],
        }
    }

    /// What the processes have logged.
    pub fn logs(&self) -> String {
        let names = self.processes.iter().map(|process| process.name);
        names.map(|name| fs::read_to_string(self.log(name)).unwrap_or_default()).collect()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }
}
