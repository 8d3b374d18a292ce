//! A service that runs on its own is as durable as all in one process.

use proto::common::v1::Key;
use proto::things::v1::{GetThingRequest, PutThingRequest, Thing};

use crate::crash::client::Client;
use crate::crash::machine::Machine;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn things_keeps_its_first_write_on_a_new_data_directory() -> anyhow::Result<()> {
    let machine = Machine::new()?;
    let key = Key { path: "river/a".into(), ..Key::default() };
    let server = machine.start_things().await?;
    let mut things = Client::connect(server.address).await?.things;
    let thing = Thing { key: Some(key.clone()), r#type: "Gauge".into(), ..Thing::default() };
    let put = things.put_thing(PutThingRequest { thing: Some(thing), ..Default::default() }).await?.into_inner();
    server.running.kill()?;
    machine.disk.lose_power()?;

    let server = machine.start_things().await?;
    let mut things = Client::connect(server.address).await?.things;
    let got = things.get_thing(GetThingRequest { key: Some(key), ..Default::default() }).await?.into_inner();
    assert_eq!(got, put);
    Ok(())
}
