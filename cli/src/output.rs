//! What programs read.

use crate::args::Data;
use crate::exit;
use crate::failure::Failure;
use serde::Serialize;

/// What a command says, and how the program ends.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) text: String,
    /// What is said beside it, to whoever looks on: standard error.
    pub(crate) aside: String,
    pub(crate) code: u8,
}

impl From<String> for Said {
    fn from(text: String) -> Self {
        let code = exit::DONE;
        let aside = String::new();
        Self { text, aside, code }
    }
}

/// `value` in this format.
pub(crate) fn data(value: &impl Serialize, format: Data) -> Result<String, Failure> {
    match format {
        Data::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| Failure::Output(error.to_string())),
        Data::Yaml => {
            serde_saphyr::to_string(value).map_err(|error| Failure::Output(error.to_string()))
        }
    }
}
