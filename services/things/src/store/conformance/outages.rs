//! PostgreSQL that is there and does not serve: a table is locked, it is read-only, it takes no connection, it is far away. Calls
//! are refused or take long, nothing is kept of what was refused, and all is well afterwards with the same process.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use domain::Clock;
use futures::future::join_all;
use proto::common::v1::Reason;
use serve::Tasks;
use sqlx::PgPool;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep_until};

use super::bed::{Bed, Refused, note, owner};
use super::server::{fresh, owned};
use crate::store::migrate;

/// Half of the time that a message and its answer are under way.
const FAR: Duration = Duration::from_millis(100);
/// Parts of messages that are under way at a time: more than there are.
const ON_THE_WAY: usize = 1_000;

/// A migrated database: as who may do anything on its server, and as a process of ours has it.
async fn database() -> (PgPool, Bed) {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    migrate(&url).await.unwrap();
    let admin = PgPool::connect(&url).await.unwrap();
    let bed = Bed::open(url, Clock::system(), tempfile::tempdir().unwrap()).await;
    (admin, bed)
}

async fn put(bed: &Bed, named: &str) -> Refused<()> {
    bed.put_as(&owner(), named, note("one")).await.map(drop)
}

async fn get(bed: &Bed, named: &str) -> Refused<()> {
    bed.get(&owner(), named).await.map(drop)
}

/// Runs statements, and ends every session of the database but this one: what is set for a database is so in new ones.
async fn change(admin: &PgPool, sql: &str) {
    let sessions = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";
    sqlx::raw_sql(&format!("{sql}; {sessions}")).execute(admin).await.unwrap();
}

/// What is there, and in the outbox.
async fn assert_has(bed: &Bed, names: &[&str]) {
    assert_eq!(bed.list(&owner(), "onet").await, names);
    assert_eq!(bed.mutations().await.len(), names.len());
}

#[tokio::test]
async fn while_a_table_is_locked_calls_are_refused() {
    let (admin, bed) = database().await;
    put(&bed, "onet/a").await.unwrap();
    let mut held = admin.begin().await.unwrap();
    sqlx::raw_sql("lock table things in access exclusive mode").execute(&mut *held).await.unwrap();
    let (puts, gets) =
        tokio::join!(join_all((0..5).map(|_| put(&bed, "onet/b"))), join_all((0..5).map(|_| get(&bed, "onet/a"))));
    assert_eq!((puts, gets), (vec![Err(Reason::StoreUnavailable); 5], vec![Err(Reason::StoreUnavailable); 5]));
    held.rollback().await.unwrap();
    get(&bed, "onet/a").await.unwrap();
    put(&bed, "onet/c").await.unwrap();
    assert_has(&bed, &["onet/a", "onet/c"]).await;
}

#[tokio::test]
async fn while_the_database_is_read_only_writes_are_refused_and_reads_go_on() {
    let (admin, bed) = database().await;
    let name: String = sqlx::query_scalar("select current_database()").fetch_one(&admin).await.unwrap();
    put(&bed, "onet/a").await.unwrap();
    change(&admin, &format!("alter database {name} set default_transaction_read_only = on")).await;
    assert_eq!(put(&bed, "onet/b").await, Err(Reason::StoreUnavailable));
    assert_eq!(bed.link("onet/d", "onet/a", "onet/a").await.map(drop), Err(Reason::StoreUnavailable));
    get(&bed, "onet/a").await.unwrap();
    change(&admin, &format!("alter database {name} reset all")).await;
    put(&bed, "onet/c").await.unwrap();
    assert_has(&bed, &["onet/a", "onet/c"]).await;
}

#[tokio::test]
async fn while_there_is_no_connection_left_calls_are_refused() {
    let (url, admin) = owned().await;
    let role = url.split_once("//").and_then(|(_, rest)| rest.split_once('@')).unwrap().0.to_owned();
    migrate(&url).await.unwrap();
    let bed = Bed::open(url, Clock::system(), tempfile::tempdir().unwrap()).await;
    put(&bed, "onet/a").await.unwrap();
    change(&admin, &format!("alter role {role} connection limit 0")).await;
    let (put_b, get_a) = tokio::join!(put(&bed, "onet/b"), get(&bed, "onet/a"));
    assert_eq!((put_b, get_a), (Err(Reason::StoreUnavailable), Err(Reason::StoreUnavailable)));
    change(&admin, &format!("alter role {role} connection limit -1")).await;
    get(&bed, "onet/a").await.unwrap();
    put(&bed, "onet/c").await.unwrap();
    assert_has(&bed, &["onet/a", "onet/c"]).await;
}

#[tokio::test]
async fn a_database_far_away_takes_long_and_serves() {
    let url = tokio::task::spawn_blocking(|| fresh(18)).await.unwrap();
    migrate(&url).await.unwrap();
    let (_, address) = url.split_once('@').unwrap();
    let (address, _) = address.split_once('/').unwrap();
    let far = far_away(address.parse().unwrap()).await;
    let bed = Bed::open(url.replace(address, &far.to_string()), Clock::system(), tempfile::tempdir().unwrap()).await;
    let names: Vec<String> = (0..9).map(|number| format!("onet/{number}")).collect();
    let done = join_all(names.iter().map(|name| put(&bed, name))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    let done = join_all(names.iter().map(|name| get(&bed, name))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_has(&bed, &names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

/// Where what is sent arrives at `address` later.
async fn far_away(address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let (near, ways) = (listener.local_addr().unwrap(), Tasks::new("far away"));
    ways.clone().spawn("accept", |_| async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(address).await.unwrap();
            let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
            ways.spawn("there", |_| late(from_client, to_server));
            ways.spawn("back", |_| late(from_server, to_client));
        }
    });
    near
}

/// Passes everything on, each part when its time has come: what comes meanwhile is on its way too.
async fn late(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let (sender, mut parts) = tokio::sync::mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    let arrive = async move {
        while let Some((arrives, part)) = parts.recv().await {
            sleep_until(arrives).await;
            if to.write_all(&part).await.is_err() {
                return;
            }
        }
    };
    let depart = async move {
        let mut part = vec![0; 1 << 16];
        while let Ok(size @ 1..) = from.read(&mut part).await {
            if sender.send((Instant::now() + FAR, part[..size].to_vec())).await.is_err() {
                return;
            }
        }
    };
    tokio::join!(arrive, depart);
}
