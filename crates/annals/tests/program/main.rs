//! The built program, used as a person would use it.

mod commands;
mod config;
mod onet;
mod server;
