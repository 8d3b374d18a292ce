//! Owns the settings of the things service. Reads none itself.

serve::settings! {
    /// Settings of the things service.
    pub struct Config {
        /// Where things are kept: sqlite:FILE, or postgres://USER@HOST/DATABASE after `annals migrate`. Without it: <data-dir>/things/things.db.
        pub things_store: Option<String>,
    }
}

serve::settings! {
    /// Where a things service that runs on its own finds the others.
    pub struct Peers {
        /// Address of the events service.
        pub events: http::Uri = "http://127.0.0.1:8082",
    }
}
