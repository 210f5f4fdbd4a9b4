//! What policies are told of an ADD, from the configuration and the environment.

use serde_json::{Map, Value};
use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf, args};
use wharf_ops::Attachment;
use wharf_ops::policy::{Pod, Subject};

use crate::convert;
use crate::failure::{self, Fault};
use crate::run::Stage;

/// The capability by which containerd and CRI-O pass the pod's annotations.
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";
/// Where they are, for messages.
const PATH: &str = "runtimeConfig.io.kubernetes.cri.pod-annotations";
/// Where labels are.
const LABELS: &str = "args.cni.labels";

/// What the configuration says, of a chain its outer object. Labels and annotations that are not what they should be are
/// errors: a policy that decides by them must not see less than there is.
pub(crate) fn subject(conf: &NetConf) -> Result<Subject, CniError> {
    Ok(Subject {
        command: "ADD".to_owned(),
        attachment: Attachment { network: String::new(), container: String::new(), ifname: String::new() },
        netns_path: None,
        pod: None,
        labels: labels(&conf.raw)?,
        annotations: annotations(&conf.raw)?,
        args: Vec::new(),
        plugins: Vec::new(),
        chain: false,
        previous: conf.previous.as_ref().map(convert::to_guest),
        settings: String::new(),
    })
}

/// What the configurations say that the plugins of a chain get: each may have labels and annotations of its own. One
/// that has another value there than elsewhere is an error, for whichever a policy saw would be wrong of some plugin.
pub(crate) fn add_stages(subject: &mut Subject, stages: &[Stage]) -> Result<(), CniError> {
    for (index, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.is_chained()) {
        merge(&mut subject.labels, labels(&stage.conf.raw)?, index, LABELS)?;
        merge(&mut subject.annotations, annotations(&stage.conf.raw)?, index, PATH)?;
    }
    Ok(())
}

fn merge(
    all: &mut Vec<(String, String)>,
    more: Vec<(String, String)>,
    index: usize,
    path: &str,
) -> Result<(), CniError> {
    // Against those of elsewhere: what one list says twice, a policy sees twice.
    let elsewhere = all.len();
    for (key, value) in more {
        let mut known = all.iter().take(elsewhere).filter(|(known, _)| *known == key).peekable();
        if known.peek().is_none() {
            all.push((key, value));
        } else if !known.any(|(_, other)| *other == value) {
            let message = format!(
                "chain[{index}].{path}: {key:?} is {value:?} here, and has another value elsewhere in the configuration"
            );
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
        }
    }
    Ok(())
}

/// What CNI_ARGS say.
pub(crate) fn add_arguments(subject: &mut Subject, arguments: &[(String, String)]) {
    let argument = |key: &str| args::find(arguments, key).map(str::to_owned);
    subject.pod = argument("K8S_POD_NAMESPACE").zip(argument("K8S_POD_NAME")).map(|(namespace, name)| Pod {
        namespace,
        name,
        uid: argument("K8S_POD_UID"),
        infra_container: argument("K8S_POD_INFRA_CONTAINER_ID"),
    });
    subject.args = arguments.to_vec();
}

/// `args.cni.labels`, as the CNI conventions have it: `[{"key": "app", "value": "web"}]`.
fn labels(conf: &Map<String, Value>) -> Result<Vec<(String, String)>, CniError> {
    let found = conf.get("args").and_then(|args| args.get("cni")).and_then(|cni| cni.get("labels"));
    let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).map(str::to_owned);
    let pair = |item: &Value| {
        let pair = text(item, "key").zip(text(item, "value"));
        pair.ok_or_else(|| wrong(LABELS, item, r#"{"key": "app", "value": "web"}"#))
    };
    match found {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(pair).collect(),
        Some(other) => Err(wrong(LABELS, other, "a list")),
    }
}

fn annotations(conf: &Map<String, Value>) -> Result<Vec<(String, String)>, CniError> {
    let pair = |(key, value): (&String, &Value)| match value.as_str() {
        Some(text) => Ok((key.clone(), text.to_owned())),
        None => Err(wrong(PATH, value, "a string")),
    };
    match conf.get("runtimeConfig").and_then(|config| config.get(ANNOTATIONS)) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Object(members)) => members.iter().map(pair).collect(),
        Some(other) => Err(wrong(PATH, other, "an object of strings")),
    }
}

fn wrong(path: &str, value: &Value, wanted: &str) -> CniError {
    let message = format!("{path}: {} is not {wanted}", failure::cut(value.to_string()));
    failure::host(code::INVALID_CONFIG, Fault::Runtime, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::stages;

    fn conf(members: &str) -> NetConf {
        NetConf::parse(format!(r#"{{"cniVersion":"1.1.0","name":"n","type":"g"{members}}}"#).as_bytes())
            .unwrap()
    }

    #[test]
    fn names_labels_and_annotations_are_found_where_runtimes_put_them() {
        let conf = conf(
            r#","args":{"cni":{"labels":[{"key":"app","value":"web"}]}},
               "runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"a/b":"c"}}"#,
        );
        let pairs = |text: &str| args::parse_args(text).unwrap();
        let arguments = pairs("IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1;K8S_POD_UID=u");
        let mut found = subject(&conf).unwrap();
        add_arguments(&mut found, &arguments);
        let pod = found.pod.clone().unwrap();
        assert_eq!(
            (pod.namespace.as_str(), pod.name.as_str(), pod.uid.as_deref()),
            ("shop", "web-1", Some("u"))
        );
        assert_eq!(found.labels, [("app".to_owned(), "web".to_owned())]);
        assert_eq!(found.annotations, [("a/b".to_owned(), "c".to_owned())]);
        add_arguments(&mut found, &pairs("K8S_POD_NAME=web-1"));
        assert_eq!(found.pod, None);
    }

    /// The labels and annotations of a chain of `g` and an `h` with these members.
    fn of_chain(outer: &str, inner: &str) -> Result<[Vec<(String, String)>; 2], CniError> {
        let text = format!(
            r#"{{"cniVersion":"1.1.0","name":"n","type":"wharf"{outer},"chain":[{{"type":"g"}},{{"type":"h"{inner}}}]}}"#
        );
        let conf = NetConf::parse(text.as_bytes()).unwrap();
        let mut found = subject(&conf)?;
        add_stages(&mut found, &stages("wharf", conf)?)?;
        Ok([found.labels, found.annotations])
    }

    #[test]
    fn what_the_plugins_of_a_chain_get_belongs_to_it() {
        const FREE: &str = r#","args":{"cni":{"labels":[{"key":"tier","value":"free"}]}}"#;
        const ANNOTATED: &str = r#","runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"a":"b"}}"#;
        let pair = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
        assert_eq!(of_chain("", FREE).unwrap(), [pair("tier", "free"), vec![]]);
        assert_eq!(of_chain(FREE, FREE).unwrap(), [pair("tier", "free"), vec![]]);
        assert_eq!(of_chain("", ANNOTATED).unwrap(), [vec![], pair("a", "b")]);
        assert_eq!(of_chain(ANNOTATED, FREE).unwrap(), [pair("tier", "free"), pair("a", "b")]);
        let more = of_chain(FREE, &FREE.replace("tier", "app")).unwrap();
        assert_eq!(more[0], [pair("tier", "free"), pair("app", "free")].concat());
        for (outer, inner, path) in [
            (FREE, FREE.replace("free", "gold"), "chain[1].args.cni.labels: \"tier\" is \"gold\""),
            ("", FREE.replace("[{", "{").replace("}]", "}"), "args.cni.labels"),
            ("", ANNOTATED.replace("\"b\"", "7"), "pod-annotations"),
        ] {
            let error = of_chain(outer, &inner).unwrap_err();
            assert!(error.code == 7 && error.msg.contains(path), "{outer} {inner}: {error}");
        }
    }

    #[test]
    fn what_is_not_as_it_should_be_is_an_error_that_names_it() {
        for (members, path) in [
            (r#","args":{"cni":{"labels":{"app":"web"}}}"#, "args.cni.labels"),
            (r#","args":{"cni":{"labels":[{"key":"app"}]}}"#, "args.cni.labels"),
            (r#","runtimeConfig":{"io.kubernetes.cri.pod-annotations":[]}"#, "pod-annotations"),
            (r#","runtimeConfig":{"io.kubernetes.cri.pod-annotations":{"a":1}}"#, "pod-annotations"),
        ] {
            let error = subject(&conf(members)).unwrap_err();
            assert!(error.code == 7 && error.msg.contains(path), "{members}: {error}");
        }
        assert_eq!(subject(&conf(r#","args":null"#)).unwrap().labels, []);
    }
}
