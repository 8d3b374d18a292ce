//! GET of one thing through the gateway, over gRPC and over HTTP, against a tonic server that returns the same
//! message; and, without a bound, against a hyper server that returns constant bytes.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use proto::{
    common::v1::Key,
    things::v1::{GetThingRequest, PutThingRequest, things_service_client::ThingsServiceClient},
};
use tonic::transport::{Channel, Endpoint};

use crate::{
    echo,
    report::{Report, Row, median},
    server::{Server, http_client},
};

const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(1_500);
const CONNECTIONS: usize = 4;
const CALLS_PER_CONNECTION: usize = 16;

pub(crate) async fn run() -> anyhow::Result<Report> {
    let (annals, echo) = (Server::start().await?, Server::echo().await?);
    put(&annals).await?;
    let (mut grpc, mut grpc_echo, mut http, mut http_echo) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        grpc_echo.push(grpc_rate(&echo).await?);
        grpc.push(grpc_rate(&annals).await?);
        http_echo.push(http_rate(&echo).await?);
        http.push(http_rate(&annals).await?);
    }
    let [grpc, grpc_echo, http, http_echo] = [grpc, grpc_echo, http, http_echo].map(median);
    let mut report = Report::default();
    let mut compare = |what: &str, ours: f64, baseline: f64, name: &str, bounds| {
        report.push(Row {
            what: what.into(),
            ours: format!("{ours:.0}/s"),
            baseline: format!("{baseline:.0}/s, {name}"),
            ratio: ours / baseline,
            bounds,
        });
    };
    let bounds = Some((0.3, 0.6));
    compare("GET of one thing over gRPC", grpc, grpc_echo, "tonic echo", bounds);
    compare("GET of one thing over HTTP/1.1", http, grpc_echo, "tonic echo", bounds);
    compare("GET of one thing over HTTP/1.1", http, http_echo, "hyper with a constant body", None);
    Ok(report)
}

async fn put(annals: &Server) -> anyhow::Result<()> {
    let mut client = ThingsServiceClient::new(connect(annals).await?);
    client.put_thing(PutThingRequest { thing: Some(echo::thing()), ..Default::default() }).await?;
    Ok(())
}

async fn connect(server: &Server) -> anyhow::Result<Channel> {
    Ok(Endpoint::new(server.url())?.tcp_nodelay(true).connect().await?)
}

async fn grpc_rate(server: &Server) -> anyhow::Result<f64> {
    let key = Key { ns: "onet".into(), id: "15-1252.00".into(), ..Default::default() };
    let mut callers = Vec::new();
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(connect(server).await?);
    }
    let start = Instant::now();
    for channel in &channels {
        for _ in 0..CALLS_PER_CONNECTION {
            let mut client = ThingsServiceClient::new(channel.clone());
            let key = key.clone();
            callers.push(async move {
                let mut calls = 0_u32;
                while start.elapsed() < ROUND {
                    client.get_thing(GetThingRequest { key: Some(key.clone()), ..Default::default() }).await?;
                    calls += 1;
                }
                anyhow::Ok(calls)
            });
        }
    }
    let calls: u32 = futures::future::try_join_all(callers).await?.into_iter().sum();
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}

async fn http_rate(server: &Server) -> anyhow::Result<f64> {
    let client = http_client();
    let page: http::Uri = format!("{}/onet/15-1252.00", server.url()).parse()?;
    let start = Instant::now();
    let callers = (0..CONNECTIONS * CALLS_PER_CONNECTION / 2).map(|_| {
        let (client, page) = (client.clone(), page.clone());
        async move {
            let mut calls = 0_u32;
            while start.elapsed() < ROUND {
                let request = http::Request::get(page.clone()).body(Full::<Bytes>::default())?;
                let answer = client.request(request).await?;
                anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
                answer.into_body().collect().await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        }
    });
    let calls: u32 = futures::future::try_join_all(callers).await?.into_iter().sum();
    Ok(f64::from(calls) / start.elapsed().as_secs_f64())
}
