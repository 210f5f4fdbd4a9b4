//! Container runtimes with nothing but Wharf in their CNI folder.

mod buildah;
mod containerd;
mod ctr;
mod kubernetes;
mod libcni;
mod podman;
mod recording;
mod traffic;
