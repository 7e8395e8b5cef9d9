import { NumberInput, Stack, Switch, TextInput } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { useLocation } from "react-router"
import { Facts } from "../app/Facts"
import { useFormat } from "../app/format"
import { LeaveGuard } from "../app/LeaveGuard"
import { SaveStatus } from "../app/SaveStatus"
import { useAutosave } from "../app/useAutosave"
import { useModifyStore, type VectorStore } from "./queries"

interface Settings {
  name: string
  /** Days after the last use; null keeps the store for good. */
  expiresDays: number | null
}

const NAME_LIMIT = 256
const FIRST_DAYS = 30

export function StoreSettings({ store }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  const { bytes, moment, number } = useFormat()
  const isNew = useLocation().state?.isNew === true
  const modify = useModifyStore(store.id)
  const { value, change, saving, flush } = useAutosave<Settings>(
    { name: store.name ?? "", expiresDays: store.expires_after?.days ?? null },
    async ({ name, expiresDays }) => {
      await modify.mutateAsync({
        name: name || null,
        expires_after: expiresDays === null ? null : { anchor: "last_active_at", days: expiresDays },
      })
    },
    ({ name }) =>
      [...name].length > NAME_LIMIT ? t("stores.settings.longName", { limit: NAME_LIMIT }) : null,
  )
  const facts = [
    { name: t("stores.facts.size"), value: bytes(store.usage_bytes) },
    {
      name: t("stores.facts.ready"),
      value: `${number(store.file_counts.completed)} / ${number(store.file_counts.total)}`,
    },
    { name: t("columns.created"), value: moment(store.created_at) },
    ...(store.last_active_at ? [{ name: t("stores.facts.used"), value: moment(store.last_active_at) }] : []),
    ...(store.expires_at ? [{ name: t("facts.expires"), value: moment(store.expires_at) }] : []),
  ]
  return (
    <Stack gap="md" maw={520}>
      <LeaveGuard saving={saving} />
      <SaveStatus saving={saving} onRetry={() => void flush()} />
      <TextInput
        label={t("stores.settings.name")}
        value={value.name}
        onChange={(event) => change({ ...value, name: event.currentTarget.value })}
        autoFocus={isNew}
      />
      <Switch
        label={t("stores.settings.expires")}
        checked={value.expiresDays !== null}
        onChange={(event) =>
          change({ ...value, expiresDays: event.currentTarget.checked ? FIRST_DAYS : null })
        }
      />
      {value.expiresDays !== null && (
        <NumberInput
          label={t("stores.settings.days")}
          min={1}
          max={365}
          allowDecimal={false}
          clampBehavior="strict"
          value={value.expiresDays}
          onChange={(days) => typeof days === "number" && change({ ...value, expiresDays: days })}
          maw={220}
        />
      )}
      <Facts facts={facts} />
    </Stack>
  )
}
