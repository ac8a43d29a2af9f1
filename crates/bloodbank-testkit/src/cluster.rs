//! Several RabbitMQ nodes that are one broker.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::Broker;
use crate::broker::{VHOSTS, retry};
use crate::child::{blocking, until};
use crate::node::{Home, Node};

/// A cluster of private RabbitMQ nodes, in which a minority stops to serve. Ends with the process
/// that started it, however that ends.
pub struct Cluster {
    nodes: Vec<Broker>,
}

impl Cluster {
    /// Starts a cluster, and waits until every node is up and sees all the others. Three nodes take
    /// about 10 seconds.
    ///
    /// # Panics
    ///
    /// With the end of a node's log, if the cluster does not come up.
    pub async fn start(count: usize) -> Cluster {
        blocking(move || retry(|| start(count))).await
    }

    /// The nodes. Each can be ended and started again on its own.
    #[must_use]
    pub fn nodes(&self) -> &[Broker] {
        &self.nodes
    }

    /// The URL of a vhost at each node, in the order of the nodes.
    #[must_use]
    pub fn urls(&self, vhost: &str) -> Vec<String> {
        self.nodes.iter().map(|node| node.url(vhost)).collect()
    }

    /// A vhost that no other caller got, on this cluster.
    pub fn fresh_vhost(&self) -> String {
        self.nodes.first().expect("a cluster has a node").fresh_vhost()
    }
}

/// The first node alone, then each further one, which joins it. Nodes that start together lock each
/// other out now and then, and take longer.
fn start(count: usize) -> Result<Cluster, String> {
    let home = Arc::new(Home::new(VHOSTS));
    let mut nodes: Vec<Broker> = Vec::new();
    for number in 1..=count {
        let mut conf = String::from("cluster_partition_handling = pause_minority\n");
        if number > 1 {
            conf.push_str("cluster_formation.peer_discovery_backend = classic_config\n");
            for (place, number) in [(1, 1), (2, number)] {
                writeln!(
                    conf,
                    "cluster_formation.classic_config.nodes.{place} = c{number}@localhost"
                )
                .unwrap();
            }
        }
        let node = Node::launch(&home, &format!("c{number}"), &conf, None);
        node.wait_ready()?;
        nodes.push(Broker::new(node));
    }
    let first = nodes.first().expect("a cluster has a node");
    let running = || first.ctl(&["eval", "length(rabbit_nodes:all_running())."]);
    let formed = until(Duration::from_secs(60), || running().trim() == count.to_string());
    if formed { Ok(Cluster { nodes }) } else { Err(first.ctl(&["cluster_status"])) }
}
