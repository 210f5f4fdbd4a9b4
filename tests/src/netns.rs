//! Network namespaces, mounted on a file as runtimes do it.

use std::fs::{self, File};
use std::net::IpAddr;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use crate::sh;

/// A network namespace; one that was made here goes when this is dropped.
#[derive(Debug)]
pub struct Netns {
    path: PathBuf,
    file: File,
    /// Made by this process.
    own: bool,
}

impl Netns {
    /// Makes one without any link but a loopback that is down, mounted on the new file `path`.
    pub fn create(path: &Path) -> Self {
        File::create_new(path).unwrap_or_else(|error| panic!("create {}: {error}", path.display()));
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).expect("make a network namespace");
            let none = None::<&str>;
            mount(Some("/proc/thread-self/ns/net"), path, none, MsFlags::MS_BIND, none)
                .expect("mount the namespace");
        });
        let mut netns = Self::open(path);
        netns.own = true;
        netns
    }

    /// One that somebody else made and keeps.
    pub fn open(path: &Path) -> Self {
        let file = File::open(path).unwrap_or_else(|error| panic!("open {}: {error}", path.display()));
        Self { path: path.to_owned(), file, own: false }
    }

    /// Where it is mounted: what goes into `CNI_NETNS`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` on a thread inside. Processes and sockets that it makes stay there.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET).expect("enter the namespace");
            work()
        })
    }

    /// Runs a command line inside; it must succeed. Answers what it printed.
    pub fn sh(&self, line: &str) -> String {
        self.run(|| sh::run(&mut sh::words(line)))
    }

    /// Runs a command line inside, whatever its exit status.
    pub fn try_sh(&self, line: &str) -> Output {
        self.run(|| sh::output(&mut sh::words(line)))
    }

    /// What a command line that prints JSON says; `null` if it prints nothing.
    pub fn json(&self, line: &str) -> Value {
        let text = self.sh(line);
        if text.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{line}: {error}: {text}"))
    }

    /// The link of that name, as `ip -j -d link` has it.
    pub fn link(&self, name: &str) -> Option<Value> {
        let links = self.json("ip -j -d link show");
        links.as_array().expect("ip prints a list").iter().find(|link| link["ifname"] == name).cloned()
    }

    /// The names of all links.
    pub fn links(&self) -> Vec<String> {
        let links = self.json("ip -j link show");
        let name = |link: &Value| link["ifname"].as_str().expect("a link has a name").to_owned();
        links.as_array().expect("ip prints a list").iter().map(name).collect()
    }

    /// Waits until there are no more links than that. What nobody holds any more the kernel takes down in the background,
    /// one namespace after another on the whole machine, and the ends of its veths with it.
    pub fn wait_for_links(&self, count: usize) {
        let end = Instant::now() + Duration::from_mins(1);
        while self.links().len() > count {
            assert!(Instant::now() < end, "no more than {count} links are expected: {:?}", self.links());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The addresses of a link with their prefix lengths, link-local ones of IPv6 left out.
    pub fn addresses(&self, link: &str) -> Vec<String> {
        let all = self.json(&format!("ip -j addr show dev {link}"));
        let infos = all[0]["addr_info"].as_array().expect("ip prints the addresses").iter();
        let text =
            |info: &Value| format!("{}/{}", info["local"].as_str().unwrap_or_default(), info["prefixlen"]);
        infos.map(text).filter(|address| !address.starts_with("fe80:")).collect()
    }

    /// The routes of a family and table as `ip -j route` has them.
    pub fn routes(&self, v6: bool, table: &str) -> Vec<Value> {
        let family = if v6 { 6 } else { 4 };
        // A table that was never used is an error for ip.
        let output = self.try_sh(&format!("ip -{family} -j -N route show table {table}"));
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// The route with this destination in the main table.
    pub fn route(&self, dst: &str) -> Option<Value> {
        self.routes(dst.contains(':'), "main").into_iter().find(|route| route["dst"] == dst)
    }

    /// The value of a parameter below /proc/sys/net.
    pub fn sysctl(&self, key: &str) -> String {
        self.run(|| fs::read_to_string(format!("/proc/sys/net/{key}")).expect(key)).trim().to_owned()
    }

    /// Sets a parameter below /proc/sys/net.
    pub fn set_sysctl(&self, key: &str, value: &str) {
        self.run(|| fs::write(format!("/proc/sys/net/{key}"), value).expect(key));
    }

    /// Whether one echo request is answered within a second.
    pub fn pings(&self, to: IpAddr) -> bool {
        self.try_sh(&format!("ping -n -q -c 1 -W 1 {to}")).status.success()
    }

    /// Unmounts it and removes the file, as a runtime does before a late DEL. What is inside stays while somebody
    /// holds it, and so it is closed as well.
    pub fn remove(self) -> PathBuf {
        self.path.clone()
    }

    pub(crate) fn unmount(&mut self) {
        if self.own {
            // A test may have removed it already.
            let _ = umount2(&self.path, MntFlags::MNT_DETACH);
            let _ = fs::remove_file(&self.path);
        }
        self.own = false;
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self.unmount();
    }
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::scope(|scope| {
        let spawned = thread::Builder::new().name(name).spawn_scoped(scope, work).expect("start a thread");
        spawned.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}
