import { Button, Group, Loader, Select, Slider, Stack, Text, TextInput } from "@mantine/core"
import { IconSearch } from "@tabler/icons-react"
import { useMutation } from "@tanstack/react-query"
import { type FormEvent, useState } from "react"
import { useTranslation } from "react-i18next"
import { FaultNotice } from "../app/FaultNotice"
import { HitCard } from "./HitCard"
import { search, type VectorStore } from "./queries"
import classes from "./SearchTab.module.css"

/** Asks a store as an assistant would, and shows what it found, how sure it is, and why. */
export function SearchTab({ store }: { store: VectorStore }) {
  const { t } = useTranslation("files")
  const [query, setQuery] = useState("")
  const [maxResults, setMaxResults] = useState("10")
  const [wordsPercent, setWordsPercent] = useState(50)
  const asking = useMutation({
    mutationFn: () => search(store.id, { query: query.trim(), maxResults: Number(maxResults), wordsPercent }),
  })

  function submit(event: FormEvent) {
    event.preventDefault()
    if (query.trim()) asking.mutate()
  }

  return (
    <Stack gap="md">
      <form onSubmit={submit} className={classes.form}>
        <Group gap="xs" wrap="nowrap">
          <TextInput
            type="search"
            flex={1}
            aria-label={t("find.label")}
            placeholder={t("find.placeholder")}
            value={query}
            onChange={(event) => setQuery(event.currentTarget.value)}
            leftSection={<IconSearch size={16} aria-hidden />}
          />
          <Button type="submit" loading={asking.isPending} disabled={!query.trim()}>
            {t("find.action")}
          </Button>
        </Group>
        <div className={classes.options}>
          <Select
            size="xs"
            w={140}
            label={t("find.most")}
            data={["5", "10", "20", "50"]}
            value={maxResults}
            onChange={(value) => value && setMaxResults(value)}
            allowDeselect={false}
          />
          <Balance value={wordsPercent} onChange={setWordsPercent} />
        </div>
      </form>
      {asking.error ? <FaultNotice error={asking.error} onRetry={() => asking.mutate()} /> : null}
      <div aria-live="polite" aria-busy={asking.isPending}>
        {asking.isPending && <Loader size="sm" aria-label={t("loading")} />}
        {asking.data && (
          <Text size="sm" c="dimmed" mb="sm">
            {asking.data.length === 0 ? t("find.nothing") : t("find.found", { count: asking.data.length })}
          </Text>
        )}
      </div>
      {asking.data && asking.data.length > 0 && (
        <ol className={classes.hits}>
          {asking.data.map((hit, index) => (
            <li key={index}>
              <HitCard hit={hit} rank={index + 1} />
            </li>
          ))}
        </ol>
      )}
    </Stack>
  )
}

function Balance({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const { t } = useTranslation("files")
  return (
    <div className={classes.balance}>
      <Group justify="space-between" mb={6}>
        <Text size="xs" fw={500}>
          {t("find.meaning")}
        </Text>
        <Text size="xs" fw={500}>
          {t("find.words")}
        </Text>
      </Group>
      <Slider
        size="sm"
        min={0}
        max={100}
        step={5}
        value={value}
        onChange={onChange}
        label={null}
        thumbLabel={t("find.balance")}
      />
    </div>
  )
}
