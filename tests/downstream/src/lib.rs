//! Parcels: a service with contracts of its own.
#![deny(warnings)]

pub mod events {
    bloodbank::include_events!();
}

#[cfg(test)]
mod tests {
    use bloodbank::uuid::Uuid;

    use crate::events::{examples, parcel, services};

    #[test]
    fn examples_hold() {
        let checked = examples::check().unwrap();
        assert_eq!((checked.contracts, checked.examples, checked.counterexamples), (2, 3, 2));
    }

    #[test]
    fn an_event_is_a_plain_struct() {
        let delivered = parcel::ParcelDelivered {
            parcel_id: Uuid::nil(),
            weight_grams: 10,
            stops: parcel::ParcelDelivered::new(Uuid::nil(), 10, vec![]).stops,
            note: None,
            extra: Default::default(),
        };
        let json = bloodbank::serde_json::to_string(&delivered).unwrap();
        assert!(json.starts_with(r#"{"event_type":"parcel.parcel.delivered","#), "{json}");
    }

    fn may_publish<S: bloodbank::Produces<parcel::ParcelDelivered>>() {}

    #[test]
    fn the_registry_is_in_the_types() {
        may_publish::<services::Courier>();
        may_publish::<services::Any>();
    }
}
