//! Owns the settings of the search service. Reads none itself.

serve::settings! {
    /// Where a search service that runs on its own finds the others.
    pub struct Peers {
        /// Address of the things service.
        pub things: http::Uri = "http://127.0.0.1:8081",
        /// Address of the events service.
        pub events: http::Uri = "http://127.0.0.1:8082",
    }
}
