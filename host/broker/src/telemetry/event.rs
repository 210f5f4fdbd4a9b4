//! One call of the CNI binary, as a line of a spool.

use serde::{Deserialize, Serialize};

use super::Trace;

/// A call. Times are in microseconds; what is usual is left out of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// When it began: since 1970.
    pub time_us: u64,
    /// How long it took, the writing of its result included.
    pub took_us: u64,
    /// `ADD`, `DEL`, ...
    pub command: String,
    /// The network's name.
    pub network: String,
    /// What ran: a plugin's name, or `wharf` for a chain.
    pub entry: String,
    /// CNI_CONTAINERID
    pub container: String,
    /// CNI_IFNAME
    pub ifname: String,
    /// The error's code; 0 is success.
    #[serde(skip_serializing_if = "is_default")]
    pub code: u32,
    /// The error's message, without secrets.
    #[serde(skip_serializing_if = "is_default")]
    pub message: String,
    /// In the order of their calls.
    pub guests: Vec<GuestCall>,
    /// It was an ADD that failed and was undone.
    #[serde(skip_serializing_if = "is_default")]
    pub rolled_back: bool,
    /// What of it could not be undone.
    #[serde(skip_serializing_if = "is_default")]
    pub unfinished: usize,
    /// Earlier ADDs that were cut short and found by this call.
    #[serde(skip_serializing_if = "is_default")]
    pub residue: u32,
    /// The trace that it is a span of.
    #[serde(skip_serializing_if = "is_default")]
    pub trace: Option<Trace>,
}

/// One guest's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GuestCall {
    /// Which guest.
    pub name: String,
    /// When it began: since the call did.
    pub start_us: u64,
    /// How long it took, with what it delegated.
    pub took_us: u64,
    /// The guest that delegated to it: a place in the list.
    #[serde(skip_serializing_if = "is_default")]
    pub by: Option<usize>,
    /// The error's code; 0 is success.
    #[serde(skip_serializing_if = "is_default")]
    pub code: u32,
    /// How many operations it asked for.
    pub operations: u32,
    /// How long those took, of `took_us`.
    pub kernel_us: u64,
    /// Operations that were denied.
    #[serde(skip_serializing_if = "is_default")]
    pub denied: Vec<String>,
    /// Its operations one by one, where spans are wanted.
    #[serde(skip_serializing_if = "is_default")]
    pub spans: Vec<OperationCall>,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationCall {
    /// `links/create-veth`
    pub name: String,
    /// When it began: since the call did.
    pub start_us: u64,
    /// How long it took.
    pub took_us: u64,
    /// Whether it failed, or was denied.
    pub failed: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
