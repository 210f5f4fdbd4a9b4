//! The socket against a made-up kernel at the other end of a socket pair, and against the real one.

use std::os::unix::net::UnixDatagram;

use super::*;

const MULTI: u16 = 2;

/// A socket, and the end that plays the kernel. What the latter sends waits in the queue.
fn pair() -> (Socket, UnixDatagram) {
    let (ours, theirs) = UnixDatagram::pair().unwrap();
    (Socket::over(ours.into()), theirs)
}

fn answer(kernel: &UnixDatagram, sequence: u32, messages: &[(u16, u16, Vec<u8>)]) {
    let mut bytes = Vec::new();
    for (kind, flags, payload) in messages {
        let mut one = Messages::reusing(Vec::new(), sequence);
        one.push(*kind, *flags, |body| {
            body.raw(payload);
        });
        bytes.extend_from_slice(one.bytes().unwrap());
    }
    kernel.send(&bytes).unwrap();
}

fn code(errno: i32) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.resize(20, 0);
    payload
}

fn first_byte(message: &Message<'_>) -> Option<u8> {
    message.payload.first().copied()
}

#[test]
fn a_datagram_that_does_not_fit_is_an_error_and_the_next_one_is_read() {
    let (mut socket, kernel) = pair();
    kernel.send(&vec![0; INPUT + 1]).unwrap();
    let result = socket.receive_now(|_| Ok(()));
    assert!(matches!(result, Err(NetlinkError::Malformed("a datagram over 64 KiB"))), "{result:?}");
    answer(&kernel, 1, &[(NLMSG_ERROR, 0, code(0))]);
    assert_eq!(socket.request(16, 0, |_| ()), Ok(()));
    // Shorter than what came before.
    answer(&kernel, 2, &[(16, MULTI, vec![9; 4]), (NLMSG_DONE, MULTI, vec![0; 4])]);
    assert_eq!(socket.dump(18, |_| (), first_byte).unwrap(), [9]);
}

#[test]
fn a_dump_that_the_kernel_calls_inconsistent_is_started_again() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 1, &[(16, MULTI, vec![1; 4]), (16, MULTI | NLM_F_DUMP_INTR, vec![2; 4])]);
    answer(&kernel, 1, &[(NLMSG_DONE, MULTI, vec![0; 4])]);
    answer(&kernel, 2, &[(16, MULTI, vec![7; 4]), (NLMSG_DONE, MULTI, vec![0; 4])]);
    assert_eq!(socket.dump(18, |_| (), first_byte).unwrap(), [7]);
}

#[test]
fn an_interruption_that_only_the_end_mentions_counts() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 1, &[(16, MULTI, vec![1; 4]), (NLMSG_DONE, MULTI | NLM_F_DUMP_INTR, vec![0; 4])]);
    answer(&kernel, 2, &[(16, MULTI, vec![2; 4]), (NLMSG_DONE, MULTI, vec![0; 4])]);
    assert_eq!(socket.dump(18, |_| (), first_byte).unwrap(), [2]);
}

#[test]
fn a_list_that_never_holds_still_is_an_error() {
    let (mut socket, kernel) = pair();
    let player = std::thread::spawn(move || {
        let mut request = [0; 64];
        for sequence in 1..=ATTEMPTS {
            kernel.recv(&mut request).unwrap();
            answer(&kernel, sequence, &[(NLMSG_DONE, MULTI | NLM_F_DUMP_INTR, vec![0; 4])]);
        }
    });
    assert_eq!(socket.dump(18, |_| (), first_byte), Err(NetlinkError::Unstable(ATTEMPTS)));
    player.join().unwrap();
}

#[test]
fn answers_to_other_requests_are_not_taken() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 0, &[(16, 0, vec![9; 4])]);
    answer(&kernel, 77, &[(NLMSG_ERROR, 0, code(1))]);
    answer(&kernel, 1, &[(NLMSG_ERROR, 0, code(0))]);
    socket.request(16, 0, |_| ()).unwrap();
    answer(&kernel, 1, &[(16, 0, vec![9; 4])]);
    answer(&kernel, 2, &[(16, 0, vec![4; 4])]);
    assert_eq!(socket.get(18, |_| (), first_byte).unwrap(), Some(4));
}

#[test]
fn an_echo_reaches_the_caller_before_the_acknowledgement() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 1, &[(16, 0, vec![5; 4])]);
    answer(&kernel, 1, &[(NLMSG_ERROR, 0, code(0))]);
    let mut echoed = Vec::new();
    socket.request_with(16, 8, |_| (), |message| echoed.extend(first_byte(message))).unwrap();
    assert_eq!(echoed, [5]);
}

#[test]
fn refusals_and_failed_dumps_carry_their_errno() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 1, &[(NLMSG_ERROR, 0, code(19))]);
    assert_eq!(socket.request(16, 0, |_| ()).unwrap_err().errno(), Some(19));
    answer(&kernel, 2, &[(NLMSG_DONE, MULTI, (-2_i32).to_ne_bytes().to_vec())]);
    assert_eq!(socket.dump(18, |_| (), first_byte).unwrap_err().errno(), Some(2));
    answer(&kernel, 3, &[(NLMSG_ERROR, 0, code(0))]);
    assert!(matches!(socket.get(18, |_| (), first_byte), Err(NetlinkError::Malformed(_))));
}

#[test]
fn each_message_of_a_pipeline_has_its_own_outcome() {
    let (mut socket, kernel) = pair();
    answer(&kernel, 2, &[(NLMSG_ERROR, 0, code(17))]);
    answer(&kernel, 1, &[(NLMSG_ERROR, 0, code(0))]);
    let outcomes = socket
        .pipeline(|messages, flags| {
            messages.push(16, flags, |_| ());
            messages.push(20, flags, |_| ());
        })
        .unwrap();
    assert_eq!(
        outcomes.iter().map(|o| o.as_ref().err().and_then(NetlinkError::errno)).collect::<Vec<_>>(),
        [None, Some(17)]
    );
}

#[test]
fn garbage_is_an_error() {
    for garbage in [&[1][..], &[0; 16], &[255; 40]] {
        let (mut socket, kernel) = pair();
        kernel.send(garbage).unwrap();
        assert!(matches!(socket.request(16, 0, |_| ()), Err(NetlinkError::Malformed(_))), "{garbage:?}");
    }
}

#[test]
fn a_request_over_64_kib_is_not_sent() {
    let (mut socket, kernel) = pair();
    kernel.set_nonblocking(true).unwrap();
    let result = socket.request(16, 0, |body| {
        body.attribute(1, &vec![0; 70_000]);
    });
    assert_eq!(result, Err(NetlinkError::TooLong));
    assert!(kernel.recv(&mut [0; 16]).is_err());
}

#[test]
fn events_end_at_the_deadline() {
    let (mut socket, _kernel) = pair();
    let start = Instant::now();
    let deadline = start + Duration::from_millis(30);
    assert_eq!(socket.events(deadline, |_| Ok(())), Err(NetlinkError::TimedOut));
    assert!(start.elapsed() >= Duration::from_millis(30));
}

#[test]
fn events_that_did_not_fit_are_reported_as_lost() {
    let netns = crate::Netns::anonymous().unwrap();
    let (mut listener, mut socket) = netns
        .enter(|| (Socket::open(Protocol::Route).unwrap(), Socket::open(Protocol::Route).unwrap()))
        .unwrap();
    nix::sys::socket::setsockopt(&listener, nix::sys::socket::sockopt::RcvBuf, &1).unwrap();
    listener.subscribe(1).unwrap();
    // RTM_NEWLINK for lo, up and down in turn.
    for round in 0..64_u8 {
        let header = [0, 0, 0, 0, 1, 0, 0, 0, round % 2, 0, 0, 0, 1, 0, 0, 0];
        socket
            .request(16, 0, |body| {
                body.raw(&header);
            })
            .unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    let first = std::iter::repeat_with(|| listener.events(deadline, |_| Ok(()))).find(Result::is_err);
    assert_eq!(first, Some(Err(NetlinkError::Lost)));
    listener.drain().unwrap();
}

#[test]
fn the_real_kernel_answers_and_explains() {
    let mut socket = Socket::open(Protocol::Route).unwrap();
    // RTM_GETLINK of index 1: lo.
    let mut header = [0; 16];
    header[4] = 1;
    let name = socket
        .get(
            18,
            |body| {
                body.raw(&header);
            },
            |message| message.attributes(16).find(3).unwrap().text().map(str::to_owned),
        )
        .unwrap();
    assert_eq!(name.as_deref(), Some("lo"));
    let names = socket
        .dump(
            18,
            |body| {
                body.raw(&[0; 16]);
            },
            |message| message.bytes::<4>(4),
        )
        .unwrap();
    assert!(names.contains(&1_u32.to_ne_bytes()));
    // RTM_NEWLINK of a kind that there is not: refused in words also by older kernels.
    let error = socket
        .request(16, 0x600, |body| {
            body.raw(&[0; 16]).nested(libc::IFLA_LINKINFO, |body| {
                body.text(libc::IFLA_INFO_KIND, "nonesuch");
            });
        })
        .unwrap_err();
    assert_eq!(error.errno(), Some(libc::EOPNOTSUPP), "{error}");
    assert!(matches!(error, NetlinkError::Refused { text: Some(_), .. }), "{error:?}");
}
