//! The manifests as files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use wharf_tests::install::wharfctl;
use wharf_tests::{Value, sh, skip};
use yaml_rust2::{Yaml, YamlLoader};

use super::schema::Api;

/// `deploy/kubernetes`
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes")
}

/// The documents of a file.
pub(super) fn documents(text: &str) -> Vec<Value> {
    YamlLoader::load_from_str(text).expect("YAML").iter().map(json).collect()
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(members) => {
            let key = |key: &Yaml| key.as_str().expect("keys are text").to_owned();
            Value::Object(members.iter().map(|(name, value)| (key(name), json(value))).collect())
        }
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Integer(number) => Value::from(*number),
        Yaml::Boolean(on) => Value::from(*on),
        Yaml::Null => Value::Null,
        other => panic!("{other:?} in a manifest"),
    }
}

pub(super) fn read(file: &str) -> Vec<Value> {
    documents(&fs::read_to_string(folder().join(file)).unwrap_or_else(|error| panic!("{file}: {error}")))
}

/// The pod of the DaemonSet in a file.
pub(super) fn pod(file: &str) -> Value {
    let all = read(file);
    let daemonset = all.iter().find(|object| object["kind"] == "DaemonSet").expect("a DaemonSet");
    daemonset["spec"]["template"]["spec"].clone()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// Every container of a pod that a patch does not take away.
fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let all = list(pod, "initContainers").iter().chain(list(pod, "containers"));
    all.filter(|container| container["$patch"] != "delete")
}

const DAEMONSETS: [&str; 2] = ["base/daemonset.yaml", "uninstall/daemonset.yaml"];

#[test]
fn they_are_of_the_api() {
    let api = Api::load();
    for file in ["base/rbac.yaml", "base/daemonset.yaml"] {
        for object in read(file) {
            assert_eq!(api.faults(&object), [""; 0], "{file}");
        }
    }
    for patch in read("uninstall/daemonset.yaml") {
        assert_eq!(api.faults_of_patch(&patch), [""; 0]);
    }
}

#[test]
fn the_kustomizations_name_what_is_there() {
    for name in ["base", "uninstall"] {
        let [kustomization] = &read(&format!("{name}/kustomization.yaml"))[..] else { panic!("{name}") };
        let mut named: Vec<&str> =
            list(kustomization, "resources").iter().filter_map(Value::as_str).collect();
        named.extend(list(kustomization, "patches").iter().filter_map(|patch| patch["path"].as_str()));
        for generator in list(kustomization, "configMapGenerator") {
            named.extend(list(generator, "files").iter().filter_map(Value::as_str));
        }
        for file in &named {
            assert!(folder().join(name).join(file).exists(), "{name}: {file}");
        }
        for entry in fs::read_dir(folder().join(name)).unwrap() {
            let file = entry.unwrap().file_name().into_string().unwrap();
            assert!(
                file == "kustomization.yaml" || named.contains(&file.as_str()),
                "{name}: nobody names {file}"
            );
        }
        let tag = &list(kustomization, "images")[0];
        assert_eq!(
            (&tag["name"], &tag["newTag"]),
            (&"wharf".into(), &env!("CARGO_PKG_VERSION").into()),
            "{name}"
        );
    }
}

#[test]
fn kustomize_makes_objects_of_the_api() {
    if Command::new("kubectl").args(["version", "--client"]).output().is_err() {
        skip!("kubectl, which has kustomize in it, is not installed");
    }
    let api = Api::load();
    for name in ["base", "uninstall"] {
        let objects = documents(&sh::run(Command::new("kubectl").arg("kustomize").arg(folder().join(name))));
        assert_eq!(objects.len(), 5, "{name}");
        for object in &objects {
            assert_eq!(api.faults(object), [""; 0], "{name}");
            if object["kind"] == "DaemonSet" {
                let pod = &object["spec"]["template"]["spec"];
                for container in containers(pod) {
                    assert_eq!(container["image"], concat!("wharf:", env!("CARGO_PKG_VERSION")), "{name}");
                }
                let left: Vec<_> =
                    containers(pod).map(|container| container["name"].as_str().unwrap()).collect();
                assert_eq!(name == "uninstall", left == ["uninstall"], "{left:?}");
            }
        }
    }
}

#[test]
fn root_file_systems_are_read_only_and_mounts_are_volumes() {
    let volumes = pod(DAEMONSETS[0]);
    let volumes: Vec<&Value> = list(&volumes, "volumes").iter().map(|volume| &volume["name"]).collect();
    for file in DAEMONSETS {
        let pod = pod(file);
        assert!(containers(&pod).count() > 0, "{file}");
        for container in containers(&pod) {
            let name = &container["name"];
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true, "{file}: {name}");
            if context["privileged"] != true {
                assert_eq!(context["allowPrivilegeEscalation"], false, "{file}: {name}");
                assert_eq!(context["capabilities"]["drop"][0], "ALL", "{file}: {name}");
            }
            for mount in list(container, "volumeMounts") {
                assert!(volumes.contains(&&mount["name"]), "{file}: {name}: {mount}");
            }
        }
    }
}

#[test]
fn who_removes_what_pods_left_sees_the_nodes_processes() {
    // A pod's namespace may be recorded as /proc/PID/ns/net.
    assert_eq!(pod(DAEMONSETS[1])["hostPID"], true);
}

#[test]
fn who_writes_rules_has_the_lock_of_iptables_legacy() {
    let lock = |container: &Value| {
        let mut mounts = list(container, "volumeMounts").iter();
        mounts.any(|mount| mount["mountPath"] == "/run/xtables.lock" && mount["readOnly"] != true)
    };
    for (file, name) in [(DAEMONSETS[0], "reconcile"), (DAEMONSETS[1], "uninstall")] {
        let pod = pod(file);
        assert!(containers(&pod).any(|container| container["name"] == name && lock(container)), "{file}");
    }
    let pod = pod(DAEMONSETS[0]);
    let volume = list(&pod, "volumes").iter().find(|volume| volume["name"] == "xtables-lock").unwrap();
    assert_eq!(volume["hostPath"], wharf_tests::json!({"path": "/run/xtables.lock", "type": "FileOrCreate"}));
}

#[test]
fn every_container_runs_what_wharfctl_knows() {
    let root = Path::new("/nonexistent");
    for file in DAEMONSETS {
        for container in containers(&pod(file)) {
            let arguments: Vec<&str> = list(container, "args").iter().filter_map(Value::as_str).collect();
            let output = sh::output(wharfctl(root).args(&arguments).arg("--help"));
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{file}: {arguments:?}: {said}");
        }
    }
}
