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

    #[test]
    fn an_answer_has_the_type_and_the_contract_that_the_schema_names() {
        use bloodbank::serde_json::json;
        let answer = |attempts| parcel::ReturnParcelReply { back_at: None, attempts };
        let reply: <parcel::ReturnParcel as bloodbank::Command>::Reply = answer(3);
        let check = |reply| crate::events::contracts().check_reply("parcel.parcel.return", &reply);
        check(json!(reply)).unwrap();
        let refused = check(json!(answer(4))).unwrap_err();
        assert_eq!(refused.violations()[0].pointer, "/attempts");
    }

    fn may_publish<S: bloodbank::Produces<parcel::ParcelDelivered>>() {}

    #[test]
    fn the_registry_is_in_the_types() {
        may_publish::<services::Courier>();
        may_publish::<services::Any>();
    }
}
