//! The built program, used as a person would use it.

mod commands;
mod onet;
mod server;
