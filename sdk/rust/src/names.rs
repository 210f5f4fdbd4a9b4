//! Names derived from an attachment by hashing.

use hmac_sha512::Hash;

/// `prefix` and the lower-case hexadecimal SHA-512 of the joined `parts`, cut to `length` bytes: how CNI plugins
/// name what belongs to an attachment.
///
/// ```
/// assert_eq!(wharf_sdk::names::hashed("CNI-", 28, &["test", "1234"]), "CNI-2bbe0c48b91a7d1b8a6753a8");
/// ```
pub fn hashed(prefix: &str, length: usize, parts: &[&str]) -> String {
    let mut hash = Hash::new();
    for part in parts {
        hash.update(part.as_bytes());
    }
    let mut name = prefix.to_owned();
    for byte in hash.finalize() {
        for digit in [byte >> 4, byte & 0xf] {
            name.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    name.truncate(length);
    name
}
