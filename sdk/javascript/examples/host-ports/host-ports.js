// A policy: a namespace opens the ports of the host that the operator has given to it, and no others.
//
//     policies = ["host-ports"]            # in /etc/cni/wharf.toml
//     [policy.host-ports.namespaces]
//     ingress = [[80, 80], [443, 443]]     # from, to
//     games = [[30000, 30999]]

const allow = { tag: "allow" };
const deny = (reason) => ({ tag: "deny", val: reason });

let namespace = "";
let own = [];

const isPort = (port) => Number.isInteger(port) && 0 <= port && port <= 65535;

function ranges(settings) {
  const { namespaces } = JSON.parse(settings);
  if (typeof namespaces !== "object") throw new TypeError("they have no table `namespaces`");
  const list = Object.hasOwn(namespaces, namespace) ? namespaces[namespace] : [];
  if (!Array.isArray(list)) throw new TypeError("the ports of the namespace are no list");
  const wrong = list.find((range) => !Array.isArray(range) || range.length !== 2 || !range.every(isPort));
  if (wrong !== undefined) throw new TypeError(`${JSON.stringify(wrong)} is not [from, to]`);
  return list;
}

export const policy = {
  begin(call) {
    namespace = call.pod?.namespace ?? "";
    try {
      own = ranges(call.settings);
    } catch (error) {
      return deny(`the policy's settings: ${error}`);
    }
    return allow;
  },

  review(guest, change) {
    const ports = change.tag === "nat-forward-ports" ? change.val.ports : [];
    const isOwn = ({ hostPort }) => own.some(([first, last]) => first <= hostPort && hostPort <= last);
    const other = ports.find((port) => !isOwn(port));
    if (other === undefined) return allow;
    return deny(`port ${other.hostPort} of the host is not the namespace ${JSON.stringify(namespace)}'s`);
  },

  reviewUnknown(guest, operation) {
    return deny(`${operation} is newer than this policy, which cannot judge it`);
  },

  reviewResult() {
    return allow;
  },
};
