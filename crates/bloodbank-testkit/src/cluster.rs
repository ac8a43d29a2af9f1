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
    /// about 15 seconds.
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

fn start(count: usize) -> Result<Cluster, String> {
    let mut conf = String::from(
        "cluster_partition_handling = pause_minority\n\
         cluster_formation.peer_discovery_backend = classic_config\n",
    );
    for number in 1..=count {
        writeln!(conf, "cluster_formation.classic_config.nodes.{number} = c{number}@localhost")
            .unwrap();
    }
    let home = Arc::new(Home::new(VHOSTS));
    let launch = |number| Broker::new(Node::launch(&home, &format!("c{number}"), &conf, None));
    let nodes: Vec<Broker> = (1..=count).map(launch).collect();
    for node in &nodes {
        node.node().wait_ready()?;
    }
    let first = nodes.first().expect("a cluster has a node");
    let running = || first.ctl(&["eval", "length(rabbit_nodes:all_running())."]);
    let formed = until(Duration::from_secs(60), || running().trim() == count.to_string());
    if formed { Ok(Cluster { nodes }) } else { Err(first.ctl(&["cluster_status"])) }
}
