//! Annals as its users meet it: real processes, real sockets, every case on both topologies.

mod aggregate;
mod apart;
mod bad_input;
mod bucket;
mod catalogs;
mod clients;
mod docs;
mod embedders;
mod engines;
mod events;
mod exports;
mod filters;
mod foreign;
mod isolation;
mod namespaces;
mod onet;
mod past;
mod postgres;
mod queries;
mod relationships;
mod restores;
mod schemas;
mod search;
mod streams;
mod things;
mod traversals;
mod urls;
mod volume;
mod writes;

/// Makes each case a test on the all-in-one and one on separate processes, each on a cluster of its own.
macro_rules! on_both_topologies {
    ($($case:ident),+ $(,)?) => {
        mod all_in_one {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&mut harness::cluster::Cluster::start(harness::cluster::Topology::AllInOne).await).await;
            })+
        }
        mod separate {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&mut harness::cluster::Cluster::start(harness::cluster::Topology::Separate).await).await;
            })+
        }
    };
}
pub(crate) use on_both_topologies;

/// Makes each case three tests: on both topologies, and on one process whose things are in PostgreSQL.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        super::on_both_topologies! { $($case),+ }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&mut crate::postgres::cluster(harness::cluster::Topology::AllInOne).await).await;
            })+
        }
    };
}
pub(crate) use on_every_store;
