//! `show` for a service of registry.yaml.

use std::io::{self, Write};

use bloodbank::{Bundle, BundledService, escape_control};
use serde_json::{Value, json};

/// What the registry says of a service, line by line.
pub(super) fn table(
    bundle: &Bundle,
    service: &BundledService,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut line = |name: &str, text: &str| {
        if text.is_empty() { Ok(()) } else { writeln!(out, "{name:<12} {}", escape_control(text)) }
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let routes = |routes: &std::collections::BTreeSet<String>| {
        routes.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
    };
    line("service", &service.name)?;
    line("description", &text(&service.description))?;
    line("type", &text(&service.service_type))?;
    line("status", &text(&service.status))?;
    line("owner", &text(&service.owner))?;
    line("layers", &bundle.layers_of(&service.name).collect::<Vec<_>>().join(", "))?;
    line("tags", &service.tags.join(", "))?;
    line("produces", &routes(&service.produces))?;
    line("consumes", &routes(&service.consumes))?;
    line("sends", &routes(&service.sends))?;
    line("handles", &routes(&service.handles))?;
    for queue in &service.queues {
        let mut said = vec![format!("{} gets {}", queue.name, queue.bindings.join(" "))];
        said.extend(queue.ordered.then(|| "in order".to_owned()));
        said.extend(queue.limits.max_length.map(|most| format!("at most {most} messages")));
        said.extend(queue.limits.retries.as_ref().map(|delays| match delays.as_slice() {
            [] => "no retries".to_owned(),
            delays => {
                let delays: Vec<String> = delays.iter().map(ToString::to_string).collect();
                format!("retries after {}", delays.join(", "))
            }
        }));
        line("queue", &said.join("; "))?;
    }
    for (name, url) in &service.endpoints {
        line("endpoint", &format!("{name}: {url}"))?;
    }
    for (name, value) in &service.runtime {
        line("runtime", &format!("{name}: {value}"))?;
    }
    Ok(())
}

/// The same as JSON.
pub(super) fn as_json(bundle: &Bundle, service: &BundledService) -> Value {
    json!({
        "service": service,
        "layers": bundle.layers_of(&service.name).collect::<Vec<_>>(),
    })
}
