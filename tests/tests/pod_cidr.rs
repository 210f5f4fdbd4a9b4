//! `usePodCidr`: asked of an API server once, and what an ADD makes of it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use wharf_tests::install::wharfctl;
use wharf_tests::{Network, Node, Value, json, sh, skip};

use crate::common::bridge;

const WORDS: [&str; 2] = ["usePodCidr", "usePodCidrIPv6"];

/// A list as Calico's manifests have it, but for the plugin.
fn list(node: &Node) -> Value {
    let mut plugin = bridge(json!({}));
    plugin["ipam"] =
        json!({"type": "host-local", "ranges": [[{"subnet": WORDS[0]}], [{"subnet": WORDS[1]}]]});
    plugin["nodename"] = json!("node-1");
    plugin["kubernetes"] = json!({"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"});
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]});
    let folder = node.root().join("etc/cni/net.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("10-calico.conflist"), list.to_string()).unwrap();
    list
}

fn network<'n>(node: &'n Node, list: &Value) -> Network<'n> {
    Network::new(node, list["plugins"].as_array().unwrap().clone()).named("pods").version("1.0.0")
}

/// An API server behind TLS that wants a client's certificate and knows one node.
struct Api {
    server: Child,
    port: u16,
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Api {
    /// `folder` gets an authority, a server's and a client's certificate, and the node's object.
    fn start(folder: &Path) -> Self {
        let openssl = |line: &str| sh::run(sh::words(&format!("openssl {line}")).current_dir(folder));
        fs::write(
            folder.join("cnf"),
            "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:true\n\
             [end]\nsubjectAltName=IP:127.0.0.1\nbasicConstraints=CA:false\n",
        )
        .unwrap();
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -config cnf";
        openssl(&format!("req -x509 {key} -subj /CN=ca -extensions ca -keyout ca.key -out ca.crt"));
        for name in ["server", "client"] {
            openssl(&format!("req {key} -subj /CN={name} -keyout {name}.key -out {name}.csr"));
            openssl(&format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile cnf -extensions end -out {name}.crt"
            ));
        }
        let node =
            json!({"kind": "Node", "spec": {"podCIDRs": ["10.244.3.0/24", "fd00:3::/64"]}}).to_string();
        fs::create_dir_all(folder.join("api/v1/nodes")).unwrap();
        let answer = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{node}", node.len());
        fs::write(folder.join("api/v1/nodes/node-1"), answer).unwrap();
        // Bound and let go: nobody else takes it in between, for every test has a namespace of its own.
        let port = 6443;
        let server = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-HTTP",
                "-accept",
                "6443",
                "-cert",
                "server.crt",
                "-key",
                "server.key",
            ])
            .args(["-CAfile", "ca.crt", "-Verify", "1", "-verify_return_error"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("start openssl");
        Self { server, port }
    }

    fn kubeconfig(&self, node: &Node) {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:{}', certificate-authority: {pki}/ca.crt}}}}]\n\
             users: [{{name: u, user: {{client-certificate: {pki}/client.crt, client-key: {pki}/client.key}}}}]\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n",
            self.port,
            pki = node.folder("pki").display()
        );
        fs::write(node.root().join("etc/cni/net.d/calico-kubeconfig"), text).unwrap();
    }
}

/// Until it listens.
fn reachable(node: &Node) {
    let until = Instant::now() + Duration::from_secs(10);
    while !node.run(|| std::net::TcpStream::connect(("127.0.0.1", 6443)).is_ok()) {
        assert!(Instant::now() < until, "openssl does not listen");
        std::thread::yield_now();
    }
}

#[test]
fn a_list_of_calico_works_once_the_api_was_asked() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        skip!("openssl, which plays the API server, is not installed");
    }
    let node = Node::new();
    let list = list(&node);
    let api = node.run(|| Api::start(&node.folder("pki")));
    api.kubeconfig(&node);
    reachable(&node);
    // Everything is in the list: the kubeconfig and the node's name.
    let printed = node.run(|| sh::run(wharfctl(&node.root()).arg("pod-cidr")));
    assert_eq!(printed, "10.244.3.0/24\nfd00:3::/64\n");
    drop(api);

    let pod = node.container("pod");
    let attachment = network(&node, &list).attach(&pod.eth0());
    let ips: Vec<String> = attachment.ips().iter().map(ToString::to_string).collect();
    assert_eq!(ips, ["10.244.3.2", "fd00:3::2"]);
    assert!(node.pings(attachment.ip(false)));
    attachment.check().silent();
    attachment.del().silent();
    assert_eq!(node.leased("pods"), [""; 0]);
}

#[test]
fn a_server_of_another_authority_is_not_believed() {
    if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
        skip!("openssl, which plays the API server, is not installed");
    }
    let node = Node::new();
    list(&node);
    let api = node.run(|| Api::start(&node.folder("pki")));
    api.kubeconfig(&node);
    reachable(&node);
    fs::copy(node.folder("pki").join("client.crt"), node.folder("pki").join("ca.crt")).unwrap();
    let output = node.run(|| sh::output(wharfctl(&node.root()).arg("pod-cidr")));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("https://127.0.0.1:6443/api/v1/nodes/node-1"),
        "{said}"
    );
    assert!(!node.root().join("var/lib/wharf/pod-cidrs.json").exists());
}

#[test]
fn before_that_an_add_says_what_to_run_and_a_del_works_all_the_same() {
    let node = Node::new();
    let list = list(&node);
    let network = network(&node, &list);
    let pod = node.container("pod");
    let words = ["ipam.ranges[0][0].subnet", "usePodCidr", "wharfctl pod-cidr"];
    network.add(&pod.eth0()).error_naming(50, &words);
    network.clone().version("1.1.0").status().error_naming(50, &words);
    network.del(&pod.eth0(), None).silent();

    let file = node.root().join("var/lib/wharf/pod-cidrs.json");
    fs::write(&file, r#"{"node": "node-1", "podCidrs": ["10.244.3.0/24"]}"#).unwrap();
    network.add(&pod.eth0()).error_naming(50, &["usePodCidrIPv6", "node-1", "10.244.3.0/24"]);
    fs::write(&file, r#"{"node": "node-1", "podCidrs": ["10.244.3.0/24", "fd00:3::/64"]}"#).unwrap();
    let attachment = network.chain().attach(&pod.eth0());
    fs::remove_file(&file).unwrap();
    attachment.del().silent();
    assert_eq!(node.leased("pods"), [""; 0]);
}
