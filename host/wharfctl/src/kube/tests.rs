//! Kubeconfigs as they are found on nodes, and what an API server can answer.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::thread;

use serde_json::json;

use super::config::{by_account, parse};
use super::*;

/// As Calico's installer writes it.
const CALICO: &str = "\
# Kubeconfig file for Calico CNI plugin. Installed by calico/node.
apiVersion: v1
kind: Config
clusters:
- name: local
  cluster:
    server: https://[10.96.0.1]:443
    certificate-authority-data: \"Y2E=\"
users:
- name: calico
  user:
    token: eyJh.bGci
contexts:
- name: calico-context
  context:
    cluster: local
    user: calico
current-context: calico-context
";

#[test]
fn the_kubeconfig_of_calico_is_read() {
    let cluster = parse(CALICO, Path::new("/"), None).unwrap();
    assert_eq!(cluster.server, "https://[10.96.0.1]:443");
    assert_eq!(cluster.token.as_deref(), Some("eyJh.bGci"));
    assert_eq!(cluster.tls.authorities.as_deref(), Some(&b"ca"[..]));
    assert!(!cluster.tls.insecure && cluster.tls.client.is_none());
}

#[test]
fn the_kubeconfig_of_a_kubelet_names_files() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("ca.crt", "ca"), ("kubelet.pem", "both"), ("token", "secret\n")] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let text = r#"{"clusters": [{"name": "c", "cluster": {"server": "https://api:6443", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"client-certificate": "kubelet.pem", "client-key": "kubelet.pem"}},
                  {"name": "t", "user": {"tokenFile": "token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}, {"name": "y", "context": {"cluster": "c", "user": "t"}}],
        "current-context": "x"}"#;
    let cluster = parse(text, folder.path(), None).unwrap();
    assert_eq!(cluster.tls.client, Some((b"both".to_vec(), b"both".to_vec())));
    assert_eq!(parse(text, folder.path(), Some("y")).unwrap().token.as_deref(), Some("secret"));
}

#[test]
fn what_is_wrong_with_a_kubeconfig_is_said() {
    for (from, to, words) in [
        ("current-context: calico-context", "", "--context"),
        ("current-context: calico-context", "current-context: other", "other"),
        ("    token: eyJh.bGci", "    exec: {command: aws}", "exec is not supported"),
        ("    token: eyJh.bGci", "    client-certificate-data: Y2E=", "belong together"),
        ("    server: https://[10.96.0.1]:443\n", "", "server is missing"),
        ("\"Y2E=\"", "\"?\"", "base64"),
        ("kind: Config", "kind: [", "YAML"),
        (
            "    certificate-authority-data: \"Y2E=\"",
            "    certificate-authority: nonesuch.crt",
            "nonesuch.crt",
        ),
    ] {
        let text = CALICO.replace(from, to);
        assert_ne!(text, CALICO);
        let error = parse(&text, Path::new("/nonexistent"), None).err().map(|error| format!("{error:#}"));
        assert!(error.as_deref().is_some_and(|error| error.contains(words)), "{to}: {error:?}");
    }
}

#[test]
fn a_pod_has_its_service_account() {
    let account = tempfile::tempdir().unwrap();
    std::fs::write(account.path().join("ca.crt"), "ca").unwrap();
    std::fs::write(account.path().join("token"), "secret\n").unwrap();
    let mut variables = BTreeMap::from([("KUBERNETES_SERVICE_HOST", "fd00::1".to_owned())]);
    let error = by_account(&variables, account.path()).err().unwrap().to_string();
    assert!(error.contains("--kubeconfig") && error.contains("KUBERNETES_SERVICE_PORT"), "{error}");
    variables.insert("KUBERNETES_SERVICE_PORT", "443".to_owned());
    let cluster = by_account(&variables, account.path()).unwrap();
    assert_eq!(
        (cluster.server.as_str(), cluster.token.as_deref()),
        ("https://[fd00::1]:443", Some("secret"))
    );
}

/// Answers one request; what was asked, with its headers.
fn serve(status: &str, body: String) -> (Cluster, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    let status = status.to_owned();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(&stream).lines().map(Result::unwrap);
        let asked: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        write!(
            &stream,
            "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        asked
    });
    (Cluster { server, token: Some("secret".into()), ..Cluster::default() }, thread)
}

#[test]
fn a_node_is_asked_for() {
    let node =
        json!({"kind": "Node", "spec": {"podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24", "fd00::/64"]}});
    let (cluster, server) = serve("200 OK", node.to_string());
    let cidrs = cluster.pod_cidrs("node-1.example").unwrap();
    assert_eq!(cidrs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.1.0.0/24", "fd00::/64"]);
    let asked = server.join().unwrap();
    assert_eq!(asked[0], "GET /api/v1/nodes/node-1.example HTTP/1.1");
    assert!(asked.iter().any(|line| line.eq_ignore_ascii_case("authorization: Bearer secret")), "{asked:?}");
}

#[test]
fn a_refusal_says_why_and_keeps_the_token_to_itself() {
    let refusal = json!({"kind": "Status", "message": "nodes \"n1\" is forbidden: User cannot get resource", "code": 403});
    let (cluster, server) = serve("403 Forbidden", refusal.to_string());
    let error = format!("{:#}", cluster.pod_cidrs("n1").unwrap_err());
    assert!(error.contains("403") && error.contains("is forbidden") && !error.contains("secret"), "{error}");
    server.join().unwrap();
    let (cluster, server) = serve("200 OK", "<html>".to_owned());
    let error = format!("{:#}", cluster.pod_cidrs("n1").unwrap_err());
    assert!(error.contains("no Node"), "{error}");
    server.join().unwrap();
}

#[test]
fn nodes_have_none_before_it_is_assigned_and_old_ones_have_one() {
    assert_eq!(of_node(&json!({"spec": {}})).unwrap(), []);
    let old = of_node(&json!({"spec": {"podCIDR": "10.1.0.0/24"}})).unwrap();
    assert_eq!(old, ["10.1.0.0/24".parse().unwrap()]);
    of_node(&json!({"spec": {"podCIDRs": ["x"]}})).unwrap_err();
    for name in ["", "../x", "a/b", "A", ".x"] {
        let error = Cluster::default().pod_cidrs(name).unwrap_err().to_string();
        assert!(error.contains("node's name"), "{error}");
    }
}
