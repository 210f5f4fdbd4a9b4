//! Hostile guests, installed and run as any other: each ends with the exact error, and leaves nothing.
//!
//! A guest is a folder of `tests/fixtures`: a tiny crate, or the text of a component. The test of the fixture
//! `deep-recursion` is called `deep_recursion`, in whichever module; one test here holds the two lists together.

mod conduct;
mod handles;
mod leases;
mod limits;
mod names;
mod policies;
mod refused;
mod results;
mod store;
mod undo;
mod wasi;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use wharf_tests::{Container, Dump, Node, Outcome, Target, Value, install, json};

/// Refused by `wharfctl install`, so that the installation of the others goes on without them.
const REFUSED: [&str; 9] = [
    "both-worlds",
    "core-module",
    "foreign-imports",
    "newer-sdk",
    "newer-world",
    "no-memory",
    "old-sdk",
    "policy-acts",
    "unknown-world",
];

/// Constraints that bound nothing: what is tested here holds whatever a grant allows.
const UNBOUNDED: &str = include_str!("../../host/broker/tests/common/unbounded.toml");

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

/// The names of all fixtures.
fn names() -> BTreeSet<String> {
    let entries = fs::read_dir(fixtures()).unwrap().map(Result::unwrap);
    let folders =
        entries.filter(|entry| entry.file_type().unwrap().is_dir() && entry.file_name() != "target");
    folders.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// The folder with the built crates. Building takes about a minute once, and seconds when one has changed.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--offline", "--profile", "guest", "--target", "wasm32-wasip2"]);
        cargo.arg("--target-dir").arg(&target).current_dir(fixtures());
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        let status = cargo.status().expect("start cargo");
        assert!(status.success(), "the hostile guests in {} do not build", fixtures().display());
        target.join("wasm32-wasip2/guest")
    })
}

/// The bytes of a fixture.
pub(crate) fn component(name: &str) -> Vec<u8> {
    let text = fixtures().join(name).join(format!("{name}.wat"));
    if text.exists() {
        return wat::parse_file(&text).unwrap_or_else(|error| panic!("{error}"));
    }
    let file = built().join(format!("{}.wasm", name.replace('-', "_")));
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}: is {name:?} among the members in fixtures/Cargo.toml?", file.display())
    })
}

/// That it prints or panics by the SDK alone: what the C library brings with it would be loaded and linked at each call.
#[track_caller]
pub(crate) fn imports_nothing_of_wasi(name: &str) {
    assert!(!component(name).windows(5).any(|window| window == b"wasi:"), "{name}");
}

/// `wharfctl install` of guests by these names into a root.
pub(crate) fn install_into(root: &Path, guests: &[(&str, Vec<u8>)]) -> Output {
    let folder = root.join("components");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in guests {
        fs::write(folder.join(format!("{name}.wasm")), bytes).unwrap();
    }
    let mut command = install::wharfctl(root);
    command.arg("install").arg("--guests").arg(&folder);
    let output = command.arg("--binary").arg(&install::Binaries::get().wharf).output().unwrap();
    fs::remove_dir_all(folder).unwrap();
    output
}

/// A root in which all fixtures are installed that can be.
fn installation() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let root = install::workplace().join("hostile");
        fs::create_dir_all(&root).unwrap();
        let all = names();
        let installed = all.iter().filter(|name| !REFUSED.contains(&name.as_str()));
        let guests: Vec<_> = installed.map(|name| (name.as_str(), component(name))).collect();
        let output = install_into(&root, &guests);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        root
    })
}

/// A node on which one hostile guest is installed, with a container, and pictures of both.
pub(crate) struct Stage {
    pub(crate) node: Node,
    pub(crate) container: Container,
    pub(crate) name: String,
    /// More members of the configuration.
    pub(crate) config: Value,
    before: (Dump, Dump),
}

impl Stage {
    /// With the usual limits, but for a deadline of five seconds.
    pub(crate) fn new(name: &str) -> Self {
        Self::with_limits(name, "deadline-ms = 5000")
    }

    /// With these lines under `[limits]`.
    pub(crate) fn with_limits(name: &str, limits: &str) -> Self {
        let node = Node::new();
        for file in wharf_tests::node::files(installation()) {
            let text = file.to_string_lossy();
            let ours = text.ends_with(".cwasm") || text.ends_with(&format!("/{name}.json"));
            if ours && !node.root().join(&file).exists() {
                fs::hard_link(installation().join(&file), node.root().join(&file)).unwrap();
            }
        }
        let container = node.container("c");
        let before = (node.dump(), container.dump());
        let stage = Self { node, container, name: name.to_owned(), config: json!({}), before };
        stage.grant(&stage.manifest()["imports"], limits);
        stage
    }

    /// The node before anything was done.
    pub(crate) fn before_node(&self) -> &Dump {
        &self.before.0
    }

    /// The container before anything was done.
    pub(crate) fn before_container(&self) -> &Dump {
        &self.before.1
    }

    /// What the store knows of the guest.
    pub(crate) fn manifest(&self) -> Value {
        let file = self.node.root().join(format!("var/lib/wharf/guests/{}.json", self.name));
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    /// Writes the guest's grant. JSON lists of strings are TOML too.
    pub(crate) fn grant(&self, operations: &Value, limits: &str) {
        let file = self.node.root().join(format!("etc/cni/wharf.d/{}.toml", self.name));
        let digest = &self.manifest()["digest"];
        let _ = fs::remove_file(&file);
        let text = format!("digest = {digest}\noperations = {operations}\n{UNBOUNDED}\n[limits]\n{limits}\n");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    pub(crate) fn target(&self) -> Target {
        self.container.eth0()
    }

    /// One call of the guest.
    pub(crate) fn call(&self, command: &str) -> Outcome {
        let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": self.name});
        let more = self.config.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        self.node.call("wharf", command, &self.target(), &config)
    }

    /// The ADD fails with this code and these words, and leaves nothing.
    #[track_caller]
    pub(crate) fn add_fails(&self, code: u32, words: &[&str]) {
        self.call("ADD").error_naming(code, words);
        self.nothing_is_left();
    }

    /// After an ADD that succeeded, its record goes with the DEL, and there was nothing else.
    #[track_caller]
    pub(crate) fn only_a_record_is_left(&self) {
        let changes = self.node.dump().changes_since(&self.before.0);
        assert!(changes.iter().all(|change| change.contains("journal c:eth0:")), "{changes:#?}");
        self.call("DEL").silent();
        self.nothing_is_left();
    }

    /// Node and container are as they were.
    #[track_caller]
    pub(crate) fn nothing_is_left(&self) {
        self.node.dump().assert_same(&self.before.0);
        self.container.dump().assert_same(&self.before.1);
    }
}

#[test]
fn every_fixture_has_its_test_and_every_test_its_fixture() {
    let program = std::env::current_exe().unwrap();
    let output = Command::new(program).args(["--list", "--format", "terse", "hostile::"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let tests = text.lines().filter_map(|line| line.strip_suffix(": test"));
    let tests: BTreeSet<String> = tests
        .filter(|path| path.matches("::").count() == 2 && !path.starts_with("hostile::store::"))
        .map(|path| path.rsplit("::").next().unwrap().replace('_', "-"))
        .collect();
    assert_eq!(tests, names());
    assert!(tests.len() >= 25);
}
