//! Where a page's commands run: a node with an `/etc`, `/opt`, `/run`, `/var/lib`, network and home folder of its own, and a
//! clone of the repository in which everything is built.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docs::page::{self, Block, Page};
use crate::install::{self, Binaries};
use crate::{Node, sh};

/// Folders that look as on the machine but for these entries, which are the room's own.
const OWN: [(&str, &[&str]); 3] = [("etc", &["cni"]), ("opt", &["cni"]), ("var/lib", &["cni", "wharf"])];
/// Where guests that pages build keep what cargo makes on the way: built once, not once in each room.
const CARGO_BUILDS: &str = "docs-cargo";
/// The room's home folder, always at the same place: what cargo made knows where it was made.
const HOME: &str = "docs-home";
/// How long a page may take, in seconds.
const DEADLINE: &str = "600";

/// See the module.
#[derive(Debug)]
pub struct Room {
    node: Node,
    dir: PathBuf,
}

/// Whether the room has an installed Wharf when a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wharf {
    /// With all plugins as drop-ins.
    Installed,
    /// Not yet.
    Missing,
}

impl Room {
    /// A room of its own for a page.
    pub fn new(wharf: Wharf) -> Self {
        let node = Node::new();
        let dir = node.folder("room");
        for (folder, own) in OWN {
            let view = dir.join("view").join(folder);
            fs::create_dir_all(&view).expect("create a view");
            fs::create_dir_all(dir.join("real").join(folder)).expect("create a mount point");
            for entry in fs::read_dir(Path::new("/").join(folder)).expect("list a folder of the machine") {
                let name = entry.expect("an entry").file_name();
                if !own.iter().any(|own| name == **own) {
                    symlink(dir.join("real").join(folder).join(&name), view.join(&name)).expect("link");
                }
            }
            for name in own {
                let installed = node.root().join(folder).join(name);
                if wharf == Wharf::Installed && installed.is_dir() {
                    install::copy(&installed, &view.join(name)).expect("copy the installation");
                }
            }
        }
        fs::create_dir_all(dir.join("view/run")).expect("create a view");
        fs::create_dir_all(dir.join("outputs")).expect("create a folder");
        let room = Self { node, dir };
        clone_into(&room.tree());
        room
    }

    /// The clone of the repository.
    fn tree(&self) -> PathBuf {
        self.dir.join("home/wharf")
    }

    /// What a block wants that is not here.
    fn missing<'a>(&self, block: &'a Block) -> Option<&'a str> {
        block.needs.as_ref()?.missing(&self.tree())
    }

    /// Runs a page's commands, one shell for all. Panics with the first block that fails or prints something else than
    /// the page shows. Answers what was not run, and why.
    #[track_caller]
    pub fn run(&self, page: &Page) -> Vec<String> {
        let script = self.dir.join("script");
        fs::write(&script, self.script(page)).expect("write the script");
        let mut command = Command::new("timeout");
        command.args(["--kill-after=5", DEADLINE, "unshare", "--mount", "--propagation", "private", "bash"]);
        command.arg(&script).env_remove("WHARF_ROOT").env("CARGO_NET_OFFLINE", "true");
        // Not those of the cargo that runs the tests.
        for (key, _) in std::env::vars_os().filter(|(key, _)| is_cargos(&key.to_string_lossy())) {
            command.env_remove(key);
        }
        let tmp = install::workplace().ancestors().nth(2).expect("it is below the build folder");
        fs::create_dir_all(tmp.join(HOME)).expect("create the mount point");
        let real_home = PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| "/root".into()));
        for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            command.env(
                variable,
                std::env::var_os(variable).map_or_else(|| real_home.join(folder), PathBuf::from),
            );
        }
        command.env("CARGO_BUILD_BUILD_DIR", tmp.join(CARGO_BUILDS)).env("HOME", tmp.join(HOME));
        let output = self.node.run(|| sh::output(&mut command));
        let own = String::from_utf8_lossy(&output.stderr);
        let mut skipped = Vec::new();
        for (number, block) in page.blocks.iter().enumerate() {
            let place = format!("{}:{}", page.name, block.line);
            if let Some(missing) = self.missing(block) {
                skipped.push(format!("{place}: needs {missing}"));
                continue;
            }
            let said = fs::read_to_string(self.output(number)).unwrap_or_default();
            let done = fs::read_to_string(self.output(number).with_extension("done"));
            assert!(
                done.is_ok(),
                "{place} failed ({}): {own}{said}\n--- the commands:\n{}",
                output.status,
                block.text
            );
            let same = block.output.as_deref().is_none_or(|shown| page::is_as_shown(shown, &said));
            assert!(same, "{place} prints something else than the page shows:\n{said}");
        }
        skipped
    }

    fn output(&self, block: usize) -> PathBuf {
        self.dir.join("outputs").join(format!("{block}.txt"))
    }

    fn script(&self, page: &Page) -> String {
        let mut script = String::from("set -e\n");
        let dir = self.dir.display();
        for (folder, _) in OWN {
            let _ = writeln!(script, "mount --rbind /{folder} {dir}/real/{folder}");
            let _ = writeln!(script, "mount --bind {dir}/view/{folder} /{folder}");
        }
        let _ = writeln!(script, "mount --bind {dir}/view/run /run\nmount --bind {dir}/home \"$HOME\"");
        let _ = writeln!(script, "cd \"$HOME/wharf\"\nPATH=\"$HOME/wharf/target/release:$PATH\"");
        for (number, block) in
            page.blocks.iter().enumerate().filter(|(_, block)| self.missing(block).is_none())
        {
            self.step(&mut script, number, block);
        }
        script
    }

    fn step(&self, script: &mut String, number: usize, block: &Block) {
        let file = self.output(number);
        let _ = writeln!(script, "exec >'{}' 2>&1", file.display());
        if block.fails {
            let _ = write!(script, "set +e\n{}failed=$?\nset -e\n[ $failed != 0 ]\n", block.text);
        } else {
            let _ = write!(script, "{}", block.text);
        }
        let _ = writeln!(script, "touch '{}'", file.with_extension("done").display());
    }
}

/// Whether a variable is one that cargo or a test run sets for what it starts.
fn is_cargos(key: &str) -> bool {
    key.starts_with("CARGO_") && key != "CARGO_HOME"
        || key.starts_with("WHARF")
        || ["RUSTFLAGS", "RUSTC_WRAPPER", "MAKEFLAGS", "LD_LIBRARY_PATH"].contains(&key)
}

/// The repository after `cargo xtask build` and, if that was done, `cargo xtask languages`: links, but for its `target`.
fn clone_into(folder: &Path) {
    let root = page::root();
    fs::create_dir_all(folder.join("target/release")).expect("create the clone");
    for entry in fs::read_dir(&root).expect("list the repository") {
        let name = entry.expect("an entry").file_name();
        if name != "target" && name != ".git" {
            symlink(root.join(&name), folder.join(&name)).expect("link");
        }
    }
    let binaries = Binaries::get();
    let (policies, languages) = (binaries.guests.with_file_name("policies"), install::languages());
    for (name, file) in [
        ("release/wharf", &binaries.wharf),
        ("release/wharfctl", &binaries.wharfctl),
        ("guests", &binaries.guests),
        ("policies", &policies),
        ("languages", &languages),
    ] {
        symlink(file, folder.join("target").join(name)).expect("link");
    }
}
