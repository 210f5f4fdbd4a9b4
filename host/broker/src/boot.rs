//! The kernel's name for the time since this boot: what tells records and leases of now from those of before.

use std::sync::OnceLock;

/// Written by the kernel, anew at each boot (proc_sys_kernel(5)).
const PATH: &str = "/proc/sys/kernel/random/boot_id";

/// The id as text; none where the kernel tells none. It is read once: a process sees one boot.
pub(crate) fn id() -> Option<&'static str> {
    static ID: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let text = std::fs::read_to_string(PATH).ok()?;
        let id = text.trim();
        (!id.is_empty()).then(|| id.to_owned())
    };
    ID.get_or_init(read).as_deref()
}
