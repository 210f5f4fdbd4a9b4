//! `deploy/`: the manifests are of the Kubernetes API, and what their containers run works on a node.

mod confined;
mod manifests;
mod node;
mod retired;
mod schema;
