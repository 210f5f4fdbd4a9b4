//! Spans in the JSON encoding of OTLP: a call, below it its guests, below them their operations.

use serde_json::{Value, json};
use wharf_broker::guests::artefact_digest;
use wharf_broker::telemetry::{Event, GuestCall, Trace};

/// SPAN_KIND_INTERNAL and SPAN_KIND_SERVER.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
/// STATUS_CODE_ERROR.
const ERROR: u8 = 2;

/// An ExportTraceServiceRequest with the spans of these calls.
pub(super) fn request(events: &[Event], host: &str) -> Value {
    let spans: Vec<Value> = events.iter().flat_map(spans).collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [text("service.name", "wharf"), text("host.name", host)]},
        "scopeSpans": [{"scope": {"name": "wharf", "version": env!("CARGO_PKG_VERSION")}, "spans": spans}],
    }]})
}

fn spans(event: &Event) -> Vec<Value> {
    let Some(trace) = &event.trace else { return Vec::new() };
    let mut attributes = vec![
        text("cni.command", &event.command),
        text("cni.network.name", &event.network),
        text("container.id", &event.container),
        text("cni.ifname", &event.ifname),
        text("wharf.entry", &event.entry),
        number("wharf.code", event.code),
    ];
    if event.rolled_back {
        attributes.push(number("wharf.rollback.unfinished", event.unfinished as u64));
    }
    let mut call = span(event, trace, &trace.span_id, trace.parent_id.as_deref(), (0, event.took_us));
    set(&mut call, &format!("CNI {}", event.command), SERVER, attributes);
    if event.code != 0 {
        fail(&mut call, &event.message);
    }
    let mut all = vec![call];
    let ids: Vec<String> =
        (0..event.guests.len()).map(|index| child(trace, &format!("guest {index}"))).collect();
    for (index, (guest, id)) in event.guests.iter().zip(&ids).enumerate() {
        let parent = guest.by.and_then(|by| ids.get(by)).unwrap_or(&trace.span_id);
        let mut own = span(event, trace, id, Some(parent), (guest.start_us, guest.took_us));
        set(&mut own, &guest.name, INTERNAL, attributes_of(guest));
        if guest.code != 0 {
            fail(&mut own, &format!("code {}", guest.code));
        }
        all.push(own);
        for (number, operation) in guest.spans.iter().enumerate() {
            let id_of_operation = child(trace, &format!("guest {index} operation {number}"));
            let times = (operation.start_us, operation.took_us);
            let mut one = span(event, trace, &id_of_operation, Some(id), times);
            set(&mut one, &operation.name, INTERNAL, Vec::new());
            if operation.failed {
                fail(&mut one, "");
            }
            all.push(one);
        }
    }
    all
}

fn attributes_of(guest: &GuestCall) -> Vec<Value> {
    vec![
        text("wharf.guest", &guest.name),
        number("wharf.operations", guest.operations),
        number("wharf.kernel_us", guest.kernel_us),
        number("wharf.denied", guest.denied.len() as u64),
    ]
}

/// Ids and times; `times` are since the call's begin.
fn span(event: &Event, trace: &Trace, id: &str, parent: Option<&str>, (start, took): (u64, u64)) -> Value {
    let nanos = |micros: u64| (u128::from(event.time_us) + u128::from(micros)) * 1000;
    json!({
        "traceId": trace.trace_id,
        "spanId": id,
        "parentSpanId": parent.unwrap_or_default(),
        "flags": trace.flags,
        "startTimeUnixNano": nanos(start).to_string(),
        "endTimeUnixNano": nanos(start.saturating_add(took)).to_string(),
    })
}

fn set(span: &mut Value, name: &str, kind: u8, attributes: Vec<Value>) {
    if let Some(members) = span.as_object_mut() {
        members.insert("name".into(), name.into());
        members.insert("kind".into(), kind.into());
        members.insert("attributes".into(), attributes.into());
    }
}

fn fail(span: &mut Value, message: &str) {
    if let Some(members) = span.as_object_mut() {
        members.insert("status".into(), json!({"code": ERROR, "message": message}));
    }
}

/// The id of a span below the call's: the same whenever it is sent.
fn child(trace: &Trace, place: &str) -> String {
    let digest = artefact_digest(format!("{} {} {place}", trace.trace_id, trace.span_id).as_bytes());
    digest.get(..16).unwrap_or_default().to_owned()
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Numbers are strings in this encoding.
fn number(key: &str, value: impl Into<u64>) -> Value {
    json!({"key": key, "value": {"intValue": value.into().to_string()}})
}

#[cfg(test)]
mod tests {
    use wharf_broker::telemetry::OperationCall;

    use super::*;

    fn event() -> Event {
        let operation = OperationCall { name: "links/get".into(), start_us: 150, took_us: 10, failed: true };
        let bridge = GuestCall {
            name: "bridge".into(),
            start_us: 100,
            took_us: 900,
            spans: vec![operation],
            ..GuestCall::default()
        };
        let ipam = GuestCall {
            name: "host-local".into(),
            start_us: 300,
            took_us: 200,
            by: Some(0),
            code: 102,
            ..GuestCall::default()
        };
        let trace = Trace {
            trace_id: "4bf92f3577b34da6a3ce929d0e0e4736".into(),
            span_id: "00f067aa0ba902b7".into(),
            parent_id: Some("1111111111111111".into()),
            flags: 1,
        };
        Event {
            time_us: 1_700_000_000_000_000,
            took_us: 1_234,
            command: "ADD".into(),
            code: 102,
            message: "full".into(),
            guests: vec![bridge, ipam],
            trace: Some(trace),
            ..Event::default()
        }
    }

    #[test]
    fn a_call_is_a_tree_of_spans() {
        let request = request(&[event()], "node-1");
        let spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
        let find =
            |name: &str| spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(spans.len(), 4);
        let call = find("CNI ADD");
        assert_eq!((&call["parentSpanId"], &call["kind"]), (&json!("1111111111111111"), &json!(2)));
        assert_eq!(call["startTimeUnixNano"], "1700000000000000000");
        assert_eq!(call["endTimeUnixNano"], "1700000000001234000");
        assert_eq!(call["status"], json!({"code": 2, "message": "full"}));
        let (bridge, ipam, operation) = (find("bridge"), find("host-local"), find("links/get"));
        assert_eq!(bridge["parentSpanId"], call["spanId"]);
        assert_eq!(ipam["parentSpanId"], bridge["spanId"], "it was delegated to");
        assert_eq!(operation["parentSpanId"], bridge["spanId"]);
        assert_eq!(operation["startTimeUnixNano"], "1700000000000150000");
        for span in &spans {
            assert_eq!(span["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
            assert_eq!(span["spanId"].as_str().unwrap().len(), 16);
        }
        let ids: std::collections::BTreeSet<_> =
            spans.iter().map(|span| span["spanId"].to_string()).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn a_call_without_a_trace_has_no_spans() {
        let request = request(&[Event { trace: None, ..event() }], "n");
        assert_eq!(request["resourceSpans"][0]["scopeSpans"][0]["spans"], json!([]));
    }
}
