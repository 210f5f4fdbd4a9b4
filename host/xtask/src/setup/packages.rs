//! The Debian packages that the tests, the demo and the bench look at the kernel with.

use std::process::Command;

use anyhow::{Result, bail};

use crate::{say, sh};

/// A program and the package that brings it.
const PROGRAMS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("ping", "iputils-ping"),
    ("curl", "curl"),
    ("conntrack", "conntrack"),
    ("openssl", "openssl"),
];

/// Installs the packages whose programs are missing.
pub(crate) fn ensure() -> Result<()> {
    let missing = missing(|program| sh::find(program).is_some());
    if missing.is_empty() {
        say::good("ip, tc, nft, iptables, ping, curl, conntrack and openssl are there");
        return Ok(());
    }
    install_missing(&missing)
}

/// Installs these; asks nothing and touches nothing else.
pub(crate) fn install_missing(missing: &[&str]) -> Result<()> {
    let names = missing.join(" ");
    if sh::find("apt-get").is_none() || !sh::is_root() {
        bail!("these packages are missing and only root on Debian can install them here: {names}");
    }
    say::line(format_args!("installing the missing packages: {names}"));
    if install(missing).is_err() {
        say::line("that failed; once more with fresh package lists");
        sh::run(Command::new("apt-get").args(["-q", "update"]))?;
        install(missing)?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    sh::run(
        Command::new("apt-get")
            .args(["-q", "-y", "--no-install-recommends", "install"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
}

fn missing(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<_> =
        PROGRAMS.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    packages
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn each_missing_package_is_named_once() {
        assert_eq!(missing(|_| true), [""; 0]);
        assert_eq!(missing(|program| !["ip", "tc", "nft"].contains(&program)), ["iproute2", "nftables"]);
    }
}
