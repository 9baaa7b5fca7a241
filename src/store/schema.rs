//! The tables as diesel sees them; the migrations under `migrations/` are the truth.

diesel::table! {
    projects (id) {
        id -> Text,
        name -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    users (id) {
        id -> Text,
        name -> Text,
        created_at -> BigInt,
        standing -> Text,
        display_name -> Nullable<Text>,
        email -> Nullable<Text>,
    }
}

diesel::table! {
    app_tokens (id) {
        id -> Text,
        user_id -> Text,
        project_id -> Text,
        secret_hash -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        revoked_at -> Nullable<BigInt>,
        name -> Text,
        rights -> Text,
    }
}

diesel::table! {
    appliances (name) {
        name -> Text,
        title -> Text,
        description -> Text,
        publisher -> Text,
        created_at -> BigInt,
        project_id -> Nullable<Text>,
    }
}

diesel::table! {
    appliance_versions (id) {
        id -> Text,
        appliance -> Text,
        label -> Text,
        image -> Text,
        image_bytes -> BigInt,
        requirements -> Text,
        published_at -> BigInt,
        withdrawn_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    entities (id) {
        id -> Text,
        project_id -> Text,
        kind -> Text,
        mixins -> Text,
        attributes -> Text,
        state -> Text,
        state_message -> Nullable<Text>,
        site -> Text,
        placement -> Text,
        specification -> Text,
        backend_id -> Nullable<Text>,
        facts -> Text,
        removal_requested_at -> Nullable<BigInt>,
        version -> BigInt,
        created_at -> BigInt,
        updated_at -> BigInt,
        source -> Nullable<Text>,
        target -> Nullable<Text>,
    }
}

diesel::table! {
    entity_mixins (entity_id, position) {
        entity_id -> Text,
        position -> Integer,
        mixin -> Text,
    }
}

diesel::table! {
    entity_attributes (entity_id, name) {
        entity_id -> Text,
        name -> Text,
        value -> Text,
    }
}

diesel::table! {
    sagas (id) {
        id -> Text,
        name -> Text,
        entity_id -> Text,
        blocked_by -> Nullable<Text>,
        state -> Text,
        step -> Integer,
        parameters -> Text,
        attempts -> Integer,
        run_at -> BigInt,
        owner -> Nullable<Text>,
        fence -> BigInt,
        cancel_requested_at -> Nullable<BigInt>,
        error -> Nullable<Text>,
        created_at -> BigInt,
        updated_at -> BigInt,
        site -> Text,
        operation -> Text,
        priority -> Integer,
        expires_at -> Nullable<BigInt>,
        begun_at -> Nullable<BigInt>,
        asked_at -> Nullable<BigInt>,
        request_id -> Nullable<Text>,
        trail -> Nullable<Text>,
    }
}

diesel::table! {
    saga_log (saga_id, sequence) {
        saga_id -> Text,
        sequence -> BigInt,
        step -> Text,
        event -> Text,
        detail -> Nullable<Text>,
        at -> BigInt,
    }
}

diesel::table! {
    intents (id) {
        id -> Text,
        entity_id -> Text,
        saga_id -> Text,
        site -> Text,
        machine -> Nullable<Text>,
        created_at -> BigInt,
        settled_at -> Nullable<BigInt>,
    }
}

diesel::joinable!(app_tokens -> users (user_id));
diesel::joinable!(app_tokens -> projects (project_id));
diesel::joinable!(saga_log -> sagas (saga_id));
diesel::joinable!(appliance_versions -> appliances (appliance));
diesel::allow_tables_to_appear_in_same_query!(entities, entity_mixins, entity_attributes);
diesel::allow_tables_to_appear_in_same_query!(appliances, appliance_versions);
diesel::allow_tables_to_appear_in_same_query!(sagas, saga_log);

diesel::table! {
    user_mixins (project_id, id) {
        project_id -> Text,
        id -> Text,
        title -> Nullable<Text>,
        depends -> Text,
        applies -> Text,
        location -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    tombstones (id) {
        id -> Text,
        project_id -> Text,
        removed_at -> BigInt,
    }
}

diesel::table! {
    revisions (topic) {
        topic -> Text,
        revision -> BigInt,
    }
}

diesel::table! {
    replicas (id) {
        id -> Text,
        beat -> BigInt,
        started_at -> BigInt,
    }
}

diesel::table! {
    watches (site) {
        site -> Text,
        owner -> Text,
    }
}

diesel::table! {
    events (id) {
        id -> Text,
        at -> BigInt,
        kind -> Text,
        project_id -> Nullable<Text>,
        entity_id -> Nullable<Text>,
        request_id -> Nullable<Text>,
        body -> Text,
        position -> Nullable<BigInt>,
        seal -> Nullable<Text>,
    }
}

diesel::table! {
    reservations (entity_id) {
        entity_id -> Text,
        project_id -> Text,
        site -> Text,
        machines -> BigInt,
        cores -> BigInt,
        memory_mib -> BigInt,
        disk_bytes -> BigInt,
        addresses -> BigInt,
        user_id -> Nullable<Text>,
    }
}

diesel::table! {
    idempotency_keys (project_id, key) {
        project_id -> Text,
        key -> Text,
        fingerprint -> Text,
        answer -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    orphans (id) {
        id -> Text,
        site -> Text,
        kind -> Text,
        backend_id -> Text,
        tag -> Text,
        reason -> Text,
        facts -> Text,
        first_seen_at -> BigInt,
        last_seen_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(intents, entities);
diesel::allow_tables_to_appear_in_same_query!(sagas, replicas);

diesel::table! {
    identities (issuer, subject) {
        issuer -> Text,
        subject -> Text,
        user_id -> Text,
        provider -> Text,
        created_at -> BigInt,
    }
}

diesel::table! {
    confirmations (user_id) {
        user_id -> Text,
        provider -> Text,
        refresh_token -> Nullable<Text>,
        confirmed_at -> BigInt,
        valid_until -> BigInt,
        claimed_until -> Nullable<BigInt>,
    }
}

diesel::table! {
    passwords (user_id) {
        user_id -> Text,
        hash -> Text,
        changed_at -> BigInt,
    }
}

diesel::table! {
    login_links (secret_hash) {
        secret_hash -> Text,
        user_id -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    sessions (secret_hash) {
        secret_hash -> Text,
        user_id -> Text,
        provider -> Nullable<Text>,
        provider_session -> Nullable<Text>,
        id_token -> Nullable<Text>,
        project_id -> Nullable<Text>,
        address -> Text,
        user_agent -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
    }
}

diesel::table! {
    spent (key) {
        key -> Text,
        expires_at -> BigInt,
    }
}

diesel::table! {
    grants (user_id, role, project_id, site, origin) {
        user_id -> Text,
        role -> Text,
        project_id -> Text,
        site -> Text,
        origin -> Text,
        reason -> Text,
        created_at -> BigInt,
        expires_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    quotas (project_id, user_id) {
        project_id -> Text,
        user_id -> Text,
        machines -> Nullable<BigInt>,
        cores -> Nullable<BigInt>,
        memory_mib -> Nullable<BigInt>,
        disk_bytes -> Nullable<BigInt>,
        addresses -> Nullable<BigInt>,
    }
}

diesel::table! {
    invitations (id) {
        id -> Text,
        secret_hash -> Text,
        project_id -> Text,
        role -> Text,
        note -> Text,
        created_by -> Nullable<Text>,
        created_at -> BigInt,
        expires_at -> BigInt,
        uses_left -> Integer,
        revoked_at -> Nullable<BigInt>,
    }
}

diesel::table! {
    registrations (id) {
        id -> Text,
        user_id -> Text,
        project_id -> Nullable<Text>,
        words -> Text,
        created_at -> BigInt,
        decided_at -> Nullable<BigInt>,
        decided_by -> Nullable<Text>,
        outcome -> Nullable<Text>,
    }
}

diesel::table! {
    device_requests (device_code_hash) {
        device_code_hash -> Text,
        user_code_hash -> Text,
        client -> Text,
        address -> Text,
        rights -> Text,
        created_at -> BigInt,
        expires_at -> BigInt,
        polled_at -> Nullable<BigInt>,
        interval_seconds -> Integer,
        state -> Text,
        user_id -> Nullable<Text>,
        project_id -> Nullable<Text>,
        days -> Nullable<Integer>,
        entered -> Integer,
    }
}

diesel::table! {
    authorization_codes (code_hash) {
        code_hash -> Text,
        user_id -> Text,
        project_id -> Text,
        client -> Text,
        rights -> Text,
        days -> Integer,
        redirect_uri -> Text,
        challenge -> Text,
        expires_at -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    app_tokens,
    users,
    projects,
    grants,
    identities,
    sessions,
    passwords,
    invitations,
    registrations,
    quotas
);
