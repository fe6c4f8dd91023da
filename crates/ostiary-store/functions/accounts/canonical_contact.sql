-- The spelling of a contact that is compared and kept unique, as close to `ostiary_core::contact` as SQL
-- comes: for what the replaced service writes and looks up. Ostiary hands over what it has normalised itself.
create or replace function accounts.canonical_contact(kind text, typed text)
returns text
language plpgsql immutable
set search_path = pg_catalog, pg_temp
as $$
declare
    trimmed constant text := btrim(typed);
    digits  constant text := regexp_replace(trimmed, '[^0-9]', '', 'g');
begin
    case
        when kind = 'email' then
            return lower(trimmed);
        when kind = 'phone' and digits <> '' then
            -- E.164; a leading 8 is the Russian trunk prefix.
            return case
                when trimmed like '+%' then '+' || digits
                when digits ~ '^[78][0-9]{10}$' then '+7' || substr(digits, 2)
                when digits ~ '^[0-9]{10}$' then '+7' || digits
                else '+' || digits
            end;
        else
            -- NFKC, then case folding: what has the same capital is the same letter.
            return normalize(
                translate(
                    lower(upper(lower(normalize(trimmed, NFKC) collate "und-x-icu"))), 'ς', 'σ'
                ),
                NFKC
            );
    end case;
end
$$;
