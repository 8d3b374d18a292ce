//! Settings: declared once, given as a flag, in the environment or in a file.
//!
//! `--data-dir` = `ANNALS_DATA_DIR` = `data_dir` in `annals.toml`; a flag counts more than the environment, that more
//! than the file, that more than the default. All mistakes are told at once, each with where it is from; a name that
//! no setting has is one, and is answered with the nearest that one has.
//!
//! Owns the only reading of the environment. Never keeps a setting of its own: each is a field of somebody's struct.

mod read;
mod secret;
mod setting;
mod sources;

use std::fmt;

pub use read::Reader;
pub use secret::Secret;
pub use setting::Setting;
pub use sources::{command, load, nearest, parse, read};

/// Defaults of one program that differ from the ones that the structs declare: `("listen", "127.0.0.1:8081")`.
pub type Defaults = &'static [(&'static str, &'static str)];

/// A group of settings, usually one struct made by [`settings!`](crate::settings).
pub trait Settings: Sized {
    /// Declares each setting and takes its value, in one pass. A value that is missing or wrong is a mistake that the
    /// reader keeps; the result then is `None`, after all settings have been looked at.
    fn settings(from: &mut Reader<'_>) -> Option<Self>;
}

macro_rules! settings_of_tuple {
    ($($name:ident),+) => {
        impl<$($name: Settings),+> Settings for ($($name,)+) {
            #[allow(non_snake_case, reason = "the type parameters name the values too")]
            fn settings(from: &mut Reader<'_>) -> Option<Self> {
                $(let $name = $name::settings(from);)+
                Some(($($name?,)+))
            }
        }
    };
}
settings_of_tuple!(A, B);
settings_of_tuple!(A, B, C);
settings_of_tuple!(A, B, C, D);
settings_of_tuple!(A, B, C, D, E);

/// Something wrong with a setting, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// As the user knows it: `--data-dir`, `ANNALS_DATA_DIR`, `annals.toml: data_dir`.
    pub origin: String,
    /// What is wrong and, if it can be told, what would be right.
    pub problem: String,
}

/// Everything that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings are wrong:")?;
        for Mistake { origin, problem } in &self.0 {
            write!(f, "\n  {origin}: {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Declares a struct of settings. Its fields are the settings: the doc comment is the help text, the literal is the
/// default as a user would write it. A field without one is an `Option`, absent by default.
///
/// ```
/// serve::settings! {
///     /// What the example needs to know.
///     pub struct Config {
///         /// Directory of everything that is kept.
///         pub data_dir: std::path::PathBuf = "./annals-data",
///         /// Longest pause between two tries.
///         pub pause: std::time::Duration = "500ms",
///         /// Where to send a copy, if anywhere.
///         pub copy: Option<String>,
///     }
/// }
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$about:meta])*
        $vis:vis struct $name:ident {
            $($(#[doc = $help:literal])+ $field_vis:vis $field:ident : $type:ty $(= $default:literal)?,)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        $vis struct $name {
            $($(#[doc = $help])+ $field_vis $field: $type,)+
        }

        impl $crate::config::Settings for $name {
            fn settings(from: &mut $crate::config::Reader<'_>) -> Option<Self> {
                $(
                    let default: Option<&'static str> = None$(.or(Some($default)))?;
                    let $field = from.setting::<$type>(stringify!($field), concat!($($help, "\n"),+), default);
                )+
                Some(Self { $($field: $field?,)+ })
            }
        }
    };
}

#[cfg(test)]
#[path = "config_test.rs"]
mod tests;
