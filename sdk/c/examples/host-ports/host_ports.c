/* A policy: a namespace opens the ports of the host that the operator has given to it, and no others.
 *
 *     policies = ["host-ports"]            # in /etc/cni/wharf.toml
 *     [policy.host-ports.namespaces]
 *     ingress = [[80, 80], [443, 443]]     # from, to
 *     games = [[30000, 30999]]
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy_plugin.h"
#include "settings.h"

typedef exports_wharf_plugin_policy_verdict_t verdict;

/* One instance serves one ADD: what `begin` learns stays in globals, and memory goes with the instance. */
static const char *namespace = "";
static port_ranges own;

static void allow(verdict *answer)
{
    answer->tag = EXPORTS_WHARF_PLUGIN_POLICY_VERDICT_ALLOW;
}

/* With a reason as printf makes it. */
__attribute__((format(printf, 2, 3))) static void deny(verdict *answer, const char *format, ...)
{
    char reason[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    answer->tag = EXPORTS_WHARF_PLUGIN_POLICY_VERDICT_DENY;
    policy_plugin_string_dup(&answer->val.deny, reason);
}

static bool is_own(uint16_t port)
{
    for (size_t i = 0; i < own.len; i++) {
        if (own.list[i].first <= port && port <= own.list[i].last)
            return true;
    }
    return false;
}

void exports_wharf_plugin_policy_begin(exports_wharf_plugin_policy_call_t *call, verdict *answer)
{
    if (call->pod.is_some) {
        policy_plugin_string_t name = call->pod.val.namespace_;
        namespace = strndup((const char *)name.ptr, name.len);
    }
    policy_plugin_string_t settings = call->settings;
    const char *wrong = read_ranges((const char *)settings.ptr, settings.len, namespace, &own);
    if (wrong)
        deny(answer, "the policy's settings: %s", wrong);
    else
        allow(answer);
}

void exports_wharf_plugin_policy_review(policy_plugin_string_t *guest, exports_wharf_plugin_policy_change_t *change,
                                        verdict *answer)
{
    (void)guest;
    allow(answer);
    if (change->tag != WHARF_POLICY_CHANGES_CHANGE_NAT_FORWARD_PORTS)
        return;
    wharf_policy_changes_list_port_forward_t ports = change->val.nat_forward_ports.ports;
    for (size_t i = 0; i < ports.len; i++) {
        unsigned port = ports.ptr[i].host_port;
        if (!is_own(ports.ptr[i].host_port)) {
            deny(answer, "port %u of the host is not the namespace \"%s\"'s", port, namespace);
            return;
        }
    }
}

void exports_wharf_plugin_policy_review_unknown(policy_plugin_string_t *guest, policy_plugin_string_t *operation,
                                                verdict *answer)
{
    (void)guest;
    deny(answer, "%.*s is newer than this policy, which cannot judge it", (int)operation->len,
         (const char *)operation->ptr);
}

void exports_wharf_plugin_policy_review_result(exports_wharf_plugin_policy_network_result_t *result, verdict *answer)
{
    (void)result;
    allow(answer);
}
