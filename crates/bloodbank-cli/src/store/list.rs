//! `store list`: what is stored.

use std::io;

use bloodbank::candystore::{Cursor, EventStore, Order, StoredEvent};
use clap::Args;

use super::event;
use super::which::Which;
use crate::contracts::Source;
use crate::mask::Mask;
use crate::table::{Table, say};
use crate::{hints, when};

#[derive(Args)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// Oldest first.
    #[arg(long)]
    oldest: bool,
    /// The most events.
    #[arg(long, value_name = "N", default_value_t = 50)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Go on where another list ended, with the same filter.
    #[arg(long, value_parser = hints::value::<Cursor>)]
    cursor: Option<Cursor>,
    /// Only how many there are.
    #[arg(long, conflicts_with_all = ["cursor", "limit", "oldest", "json"])]
    count: bool,
    /// Whole events as JSON, one a line.
    #[arg(long)]
    json: bool,
    /// Also what contracts mark as sensitive.
    #[arg(long, requires = "json")]
    reveal: bool,
}

impl List {
    pub(crate) async fn run(&self, store: &EventStore, source: &Source) -> anyhow::Result<u8> {
        let mask = Mask::new(source, self.reveal || !self.json)?;
        let filter = self.which.filter();
        if self.count {
            say(store.count(&filter).await?)?;
            return Ok(0);
        }
        let order = if self.oldest { Order::Oldest } else { Order::Newest };
        let (mut missing, mut cursor, mut is_first) = (self.limit as usize, self.cursor, true);
        loop {
            let page = store.page(&filter, order, missing, cursor.as_ref()).await?;
            missing -= page.events.len();
            self.show(&page.events, &mask, is_first)?;
            page.damaged.iter().for_each(|damaged| eprintln!("{}", event::damaged(damaged)));
            is_first &= page.events.is_empty();
            cursor = page.next;
            if missing == 0 || cursor.is_none() {
                break;
            }
        }
        match cursor {
            Some(cursor) => eprintln!("next: --cursor {cursor}"),
            None if is_first => eprintln!("no events"),
            None => {}
        }
        Ok(0)
    }

    /// Shows a page; the first one under a heading.
    fn show(&self, events: &[StoredEvent], mask: &Mask, is_first: bool) -> io::Result<()> {
        if self.json {
            return events.iter().try_for_each(|event| say(event::json_line(event, mask)));
        }
        if events.is_empty() {
            return Ok(());
        }
        let heading = ["position", "stored", "key", "source", "standing", "id"];
        let mut table = if is_first { Table::new(heading) } else { Table::plain() };
        for event in events {
            table.row([
                &event.position.to_string(),
                &when::show(event.received),
                &event::key(event),
                &event.source,
                event.standing.as_str(),
                &event.id.to_string(),
            ]);
        }
        table.print(&mut io::stdout().lock())
    }
}
