"""Admission as one statement, for all requests that come at once."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# db.admission.Asked. A later release that asks for more adds attributes; requests of this one have
# nulls there.
ADMISSION = """
CREATE TYPE admission AS (
    user_id text, address text, max_requests bigint, max_requests_of_address bigint,
    max_active_jobs bigint, window_s float8, key text, key_ttl_s float8, request_hash text,
    prompt_hash text, action text, category text, remote_address text, prompt text,
    policy_version text, generation json, jobs json
)
"""
# The locks of db.admission.lock_user (1835626100 is its 0x6D696E74). Who goes alone waits for them.
# Who goes with others does not: a transaction that holds many and waits for none is in nobody's
# circle, in whatever order they came.
HOLD_LOCK = """
CREATE FUNCTION hold_lock(who text, waits boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT waits THEN
        RETURN pg_try_advisory_xact_lock(hashtextextended(who, 1835626100));
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended(who, 1835626100));
    RETURN true;
END $$
"""
KNOWN_GENERATION = """
CREATE FUNCTION known_generation(asked admission, OUT outcome text, OUT known uuid)
LANGUAGE plpgsql AS $$
DECLARE
    known_hash text;
BEGIN
    IF asked.key IS NOT NULL THEN
        SELECT request_hash, generation_id INTO known_hash, known FROM idempotency_keys
        WHERE user_id = asked.user_id AND key = asked.key
          AND created_at > clock_timestamp() - make_interval(secs => asked.key_ttl_s);
        IF FOUND AND known_hash = asked.request_hash THEN
            outcome := 'REPLAYED';
            RETURN;
        ELSIF FOUND THEN
            outcome := 'CONFLICT';
            known := NULL;
            RETURN;
        END IF;
    END IF;
    SELECT id INTO known FROM generations
    WHERE user_id = asked.user_id AND prompt_hash = asked.prompt_hash AND EXISTS (
        SELECT FROM jobs WHERE generation_id = generations.id AND state IN ('PENDING', 'RUNNING')
    )
    ORDER BY id DESC LIMIT 1;
    IF FOUND THEN
        outcome := 'DEDUPLICATED';
        PERFORM remember_key(asked, known);
    END IF;
END $$
"""
REMEMBER_KEY = """
CREATE FUNCTION remember_key(asked admission, answer uuid) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF asked.key IS NOT NULL THEN
        INSERT INTO idempotency_keys (user_id, key, request_hash, generation_id)
        VALUES (asked.user_id, asked.key, asked.request_hash, answer)
        ON CONFLICT (user_id, key) DO UPDATE SET
            request_hash = excluded.request_hash, generation_id = excluded.generation_id,
            created_at = excluded.created_at;
    END IF;
END $$
"""
# The newest requests in the window, as db.admission.read_usage.
RECENT = """
        SELECT count(*), COALESCE(extract(epoch FROM
            min(hit_at) + make_interval(secs => asked.window_s) - clock_timestamp()), 0)
        INTO requests, frees_in_s
        FROM (
            SELECT hit_at FROM rate_limit_hits
            WHERE user_id = {who}
              AND hit_at > clock_timestamp() - make_interval(secs => asked.window_s)
            ORDER BY hit_at DESC LIMIT {most}
        ) AS recent
"""
# Refused as one too many, it is not counted; for the active jobs, it is.
COUNT_REQUEST = f"""
CREATE FUNCTION count_request(
    asked admission, OUT outcome text, OUT frees_in_s float8, OUT active_jobs bigint
) LANGUAGE plpgsql AS $$
DECLARE
    requests bigint;
BEGIN
    {RECENT.format(who="asked.user_id", most="asked.max_requests")};
    IF requests >= asked.max_requests THEN
        outcome := 'REQUESTS';
        RETURN;
    END IF;
    IF asked.address IS NOT NULL THEN
        {RECENT.format(who="asked.address", most="asked.max_requests_of_address")};
        IF requests >= asked.max_requests_of_address THEN
            outcome := 'REQUESTS_OF_ADDRESS';
            RETURN;
        END IF;
        INSERT INTO rate_limit_hits (user_id, hit_at) VALUES (asked.address, clock_timestamp());
    END IF;
    INSERT INTO rate_limit_hits (user_id, hit_at) VALUES (asked.user_id, clock_timestamp());
    SELECT count(*) INTO active_jobs FROM jobs
    WHERE user_id = asked.user_id AND state IN ('PENDING', 'RUNNING');
    outcome := CASE
        WHEN asked.category IS NOT NULL THEN 'REJECTED'
        WHEN active_jobs + json_array_length(asked.jobs) > asked.max_active_jobs THEN 'ACTIVE_JOBS'
        ELSE 'ACCEPTED'
    END;
END $$
"""
LET_IN = """
CREATE FUNCTION let_in(asked admission, OUT made uuid) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO generations (
        id, user_id, prompt, prompt_delta, style, style_version, size, upload_id, had_upload,
        variant_count, seed, seed_locked, provider, model, assembled_prompt, negative_prompt,
        prompt_hash, fall_over
    )
    SELECT id, user_id, prompt, prompt_delta, style, style_version, size, upload_id, had_upload,
        variant_count, seed, seed_locked, provider, model, assembled_prompt, negative_prompt,
        prompt_hash, fall_over
    FROM json_populate_record(NULL::generations, asked.generation)
    RETURNING id INTO made;
    INSERT INTO jobs (
        id, generation_id, user_id, variant, state, stage, progress_kind, version, seed,
        seed_locked, provider, model, regenerated_from, traceparent
    )
    SELECT job.id, generations.id, generations.user_id, job.variant, 'PENDING', 'QUEUED',
        job.progress_kind, 65536, job.seed, generations.seed_locked, generations.provider,
        generations.model, job.regenerated_from, job.traceparent
    FROM generations, json_populate_recordset(NULL::jobs, asked.jobs) AS job
    WHERE generations.id = made;
    PERFORM remember_key(asked, made);
END $$
"""
# One request, whole or not at all. The functions are volatile: behind the lock, each statement sees
# what whoever had the lock before has committed. Nothing is written before the last lock is held,
# so that BUSY leaves nothing behind.
ADMIT_ONE = """
CREATE FUNCTION admit_one(request json, waits boolean) RETURNS json LANGUAGE plpgsql AS $$
DECLARE
    asked admission := json_populate_record(NULL::admission, request);
    outcome text;
    admitted uuid;
    frees_in_s float8 := 0;
    active_jobs bigint := 0;
BEGIN
    IF NOT hold_lock(asked.user_id, waits) THEN
        RETURN '{"outcome": "BUSY"}';
    END IF;
    IF asked.category IS NULL THEN
        SELECT * INTO outcome, admitted FROM known_generation(asked);
    END IF;
    IF outcome IS NULL THEN
        IF asked.address IS NOT NULL AND NOT hold_lock(asked.address, waits) THEN
            RETURN '{"outcome": "BUSY"}';
        END IF;
        SELECT * INTO outcome, frees_in_s, active_jobs FROM count_request(asked);
        IF outcome = 'ACCEPTED' THEN
            admitted := let_in(asked);
        END IF;
        INSERT INTO audit_entries (
            user_id, action, decision, category, remote_address, prompt_hash, prompt,
            policy_version, subject_id
        ) VALUES (
            asked.user_id, asked.action,
            CASE WHEN outcome IN ('ACCEPTED', 'REJECTED') THEN outcome ELSE 'RATE_LIMITED' END,
            asked.category, asked.remote_address, asked.prompt_hash, asked.prompt,
            asked.policy_version, admitted
        );
    END IF;
    RETURN json_build_object(
        'outcome', outcome, 'frees_in_s', frees_in_s, 'active_jobs', active_jobs,
        'generation', (
            SELECT to_json(generations) FROM generations
            WHERE id = admitted AND user_id = asked.user_id
        ),
        'jobs', (
            SELECT json_agg(jobs ORDER BY variant) FROM jobs
            WHERE jobs.generation_id = admitted
        )
    );
END $$
"""
# All that came together, in one transaction. Other locks than users', say that of a photo that is
# being deleted, are waited for in those 0.1 s; whoever asks tries each by itself then.
ADMIT = """
CREATE FUNCTION admit(requests json, waits boolean) RETURNS text
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    request json;
    answers json[] := '{}';
BEGIN
    IF NOT waits THEN
        PERFORM set_config('lock_timeout', '100ms', true);
    END IF;
    FOR request IN SELECT json_array_elements(requests) LOOP
        answers := answers || admit_one(request, waits);
    END LOOP;
    RETURN array_to_json(answers);
END $$
"""
FUNCTIONS = (
    HOLD_LOCK,
    REMEMBER_KEY,
    KNOWN_GENERATION,
    COUNT_REQUEST,
    LET_IN,
    ADMIT_ONE,
    ADMIT,
)


def upgrade() -> None:
    for statement in (ADMISSION, *FUNCTIONS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION admit")
    op.execute("DROP FUNCTION admit_one")
    op.execute("DROP TYPE admission CASCADE")
    op.execute("DROP FUNCTION hold_lock")
