use super::*;

fn links() -> usize {
    std::fs::read_to_string("/proc/thread-self/net/dev").unwrap().lines().count() - 2
}

#[test]
fn a_new_namespace_is_another_one_and_entering_it_is_undone() {
    let before = Netns::own().unwrap();
    let new = Netns::anonymous().unwrap();
    assert!(Netns::own().unwrap().same_as(&before));
    assert!(!new.same_as(&before));
    let inside = new.enter(|| (Netns::own().unwrap().identity(), links())).unwrap();
    assert_eq!(inside, (new.identity(), 1));
    assert!(Netns::own().unwrap().same_as(&before));
}

#[test]
fn a_panic_inside_leads_back_too() {
    let before = Netns::own().unwrap();
    let new = Netns::anonymous().unwrap();
    let result = std::panic::catch_unwind(|| new.enter(|| panic!("inside")));
    assert!(result.is_err());
    assert!(Netns::own().unwrap().same_as(&before));
}

/// What a thread remembers of where it is, on every way in and out.
#[test]
fn one_inside_another_is_left_for_that_one() {
    let here = || std::fs::read_link(OWN).unwrap();
    let (host, a, b) = (Netns::own().unwrap(), Netns::anonymous().unwrap(), Netns::anonymous().unwrap());
    let [at_host, in_a, in_b] = [&host, &a, &b].map(|netns| netns.enter(here).unwrap());
    assert!(at_host != in_a && at_host != in_b && in_a != in_b);
    let seen = a.enter(|| {
        let inner = b.enter(|| (here(), host.enter(here).unwrap(), b.enter(here).unwrap(), here())).unwrap();
        let panicked = std::panic::catch_unwind(|| b.enter(|| panic!("inside")));
        assert!(panicked.is_err());
        (inner, here(), a.enter(here).unwrap(), host.enter(here).unwrap())
    });
    let inner = (in_b.clone(), at_host.clone(), in_b.clone(), in_b);
    assert_eq!(seen.unwrap(), (inner, in_a.clone(), in_a, at_host.clone()));
    assert_eq!((here(), host.enter(here).unwrap()), (at_host.clone(), at_host));
}

#[test]
fn a_persistent_one_can_be_opened_until_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("netns/blue");
    let made = Netns::create_at(&path).unwrap();
    assert!(Netns::open(&path).unwrap().same_as(&made));
    assert!(matches!(Netns::create_at(&path), Err(NetnsError::Io { .. })), "the name is taken");
    assert!(Netns::open(&path).unwrap().same_as(&made), "a second creation must not cover the first");
    Netns::remove(&path).unwrap();
    assert!(matches!(Netns::open(&path), Err(NetnsError::NotFound(_))));
    Netns::remove(&path).unwrap();
}

#[test]
fn the_links_of_proc_are_namespaces() {
    let opened = Netns::open("/proc/self/ns/net").unwrap();
    assert_eq!(opened.identity().0, Netns::own().unwrap().identity().0);
}

#[test]
fn what_is_no_network_namespace_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let fifo = folder.path().join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    for (path, wanted) in [
        (file.as_path(), "a regular file"),
        (folder.path(), "a directory"),
        (fifo.as_path(), "a FIFO"),
        (Path::new("/dev/null"), "a device"),
        (Path::new("/proc/self/ns/mnt"), "a mount namespace"),
        (Path::new("/proc/self/ns/uts"), "a uts namespace"),
    ] {
        match Netns::open(path) {
            Err(NetnsError::NotANamespace { what, .. }) => assert_eq!(what, wanted, "{}", path.display()),
            other => panic!("{}: {other:?}", path.display()),
        }
    }
    assert!(matches!(Netns::open(file.join("below")), Err(NetnsError::NotFound(_))));
}
