//! How a guest is called when nobody says how.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::component::Component;
use crate::lists::{self, List};

/// The lists to try, in their order: the one that is given, or what a guest of that world can be called by.
/// The guest is told of these capabilities.
pub(super) fn candidates(
    guest: &Path,
    name: &str,
    given: Option<&Path>,
    capabilities: &Map<String, Value>,
) -> Result<Vec<List>> {
    if let Some(file) = given {
        return Ok(vec![lists::open(file)?]);
    }
    let world = Component::read(guest, Some(name))?.manifest.world;
    let told: Map<String, Value> = capabilities.keys().map(|key| (key.clone(), true.into())).collect();
    of_world(&world, name, &told).into_iter().map(|plugins| parse(&plugins)).collect()
}

/// Plugins for a guest of this world.
fn of_world(world: &str, name: &str, told: &Map<String, Value>) -> Vec<Value> {
    let ipam =
        json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd01::/64"}]]});
    let bridge =
        json!({"type": "bridge", "bridge": "cni0", "isDefaultGateway": true, "ipMasq": true, "ipam": ipam});
    match world {
        "ipam" => vec![json!([{"type": name, "ipam": {"type": name, "subnet": "10.1.0.0/16"}}])],
        "policy" | "admission" => {
            vec![json!([{"type": "wharf", "capabilities": told, "policies": [name], "chain": [bridge]}])]
        }
        // One that makes an interface, or one that adds to what a bridge made.
        _ => {
            let own = json!({"type": name, "capabilities": told});
            vec![json!([own]), json!([bridge, own])]
        }
    }
}

fn parse(plugins: &Value) -> Result<List> {
    let list = json!({"cniVersion": "1.1.0", "name": "bench", "plugins": plugins});
    lists::parse(list.to_string().as_bytes(), true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_list_for_every_world() {
        for world in ["network", "ipam", "policy", "admission"] {
            let all = of_world(world, "mine", &Map::new());
            assert!(!all.is_empty());
            for plugins in all {
                let list = parse(&plugins).unwrap();
                assert!(list.plugins.iter().flat_map(lists::Plugin::names).any(|(_, name)| name == "mine"));
            }
        }
    }
}
