use super::*;

#[test]
fn what_is_built_is_read_back() {
    let mut builder = Builder::default();
    builder.u8(1, 7).be16(2, 300).be32(3, 0x0102_0304).text(4, "eth0");
    builder.nested(5, |inside| {
        let (v4, v6): (Ipv4Addr, Ipv6Addr) = ("10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap());
        inside.attribute(1, &v4.octets()).attribute(2, &v6.octets()).u64(3, u64::MAX);
    });
    assert_eq!(builder.bytes().len() % 4, 0);
    assert!(!builder.overflowed());
    let attributes = Attributes::new(builder.bytes());
    assert_eq!(attributes.find(1).unwrap().u8(), Some(7));
    assert_eq!(attributes.find(2).unwrap().be16(), Some(300));
    assert_eq!(attributes.find(3).unwrap().be32(), Some(0x0102_0304));
    assert_eq!(attributes.find(4).unwrap().text(), Some("eth0"));
    let nested = attributes.find(5).unwrap().nested();
    assert_eq!(nested.find(1).unwrap().ip(), Some("10.0.0.1".parse().unwrap()));
    assert_eq!(nested.find(2).unwrap().ip(), Some("fd00::1".parse().unwrap()));
    assert_eq!(nested.find(3).unwrap().u64(), Some(u64::MAX));
    assert_eq!(attributes.count(), 5);
}

#[test]
fn the_bytes_are_those_of_the_kernel() {
    let mut builder = Builder::default();
    builder.text(1, "tbf").nested(2, |inside| {
        inside.u32(6, 0x0a0b_0c0d);
    });
    let mut wanted = vec![8, 0, 1, 0, b't', b'b', b'f', 0, 12, 0, 2, 0x80, 8, 0, 6, 0];
    wanted.extend(0x0a0b_0c0d_u32.to_ne_bytes());
    if cfg!(target_endian = "little") {
        assert_eq!(builder.bytes(), wanted);
    }
}

#[test]
fn hostile_lengths_end_the_iteration() {
    for bytes in [
        &[][..],
        &[4],
        &[4, 0, 1],
        &[0, 0, 1, 0, 9, 9, 9, 9],
        &[3, 0, 1, 0],
        &[9, 0, 1, 0, 1, 2, 3, 4],
        &[0xff, 0xff, 1, 0, 1, 2, 3, 4],
    ] {
        assert_eq!(Attributes::new(bytes).count(), 0, "{bytes:?}");
    }
    assert_eq!(Attributes::behind(16, &[1, 2, 3]).count(), 0);
    // The last attribute may lack its padding.
    assert_eq!(Attributes::new(&[5, 0, 1, 0, 7]).next().unwrap().u8(), Some(7));
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let mut builder = Builder::default();
    builder.u32(1, 9).text(2, "abcdef").nested(3, |inside| {
        inside.be16(1, 2).nested(2, |deeper| {
            deeper.u8(9, 9);
        });
    });
    let walk = |bytes: &[u8]| {
        for attribute in Attributes::new(bytes) {
            let _ = (attribute.u8(), attribute.be16(), attribute.u32(), attribute.u64());
            let _ = (attribute.be32(), attribute.be64(), attribute.text(), attribute.ip());
            for inner in attribute.nested() {
                let _ = (inner.u32(), inner.nested().count());
            }
        }
    };
    for end in 0..builder.bytes().len() {
        walk(&builder.bytes()[..end]);
        for value in [0, 1, 3, 4, 0x7f, 0x80, 0xff] {
            let mut bytes = builder.bytes().to_vec();
            bytes[end] = value;
            walk(&bytes);
        }
    }
}

#[test]
fn short_values_answer_none() {
    let attribute = Attribute { kind: 1, value: &[1] };
    assert_eq!(
        (attribute.be16(), attribute.u32(), attribute.u64(), attribute.ip()),
        (None, None, None, None)
    );
    assert_eq!(Attribute { kind: 1, value: &[0xff, 0xfe] }.text(), None);
    assert_eq!(Attribute { kind: 1, value: &[] }.text(), Some(""));
}

#[test]
fn a_value_over_64_kib_is_remembered() {
    let mut builder = Builder::default();
    builder.attribute(1, &vec![0; 70_000]);
    assert!(builder.overflowed());
    let mut builder = Builder::default();
    builder.nested(1, |inside| {
        for _ in 0..3 {
            inside.attribute(1, &vec![0; 30_000]);
        }
    });
    assert!(builder.overflowed());
}
