import { Button, Collapse, Group, Input, NumberInput, Select, Slider, Stack, Text } from "@mantine/core"
import { useDisclosure } from "@mantine/hooks"
import { IconChevronDown, IconChevronUp, IconFileSearch } from "@tabler/icons-react"
import { useRef } from "react"
import { useTranslation } from "react-i18next"
import { useCreateStore, useVectorStores } from "../../vector-stores/queries"
import { StoreFiles } from "../../vector-stores/StoreFiles"
import type { PartProps } from "../AssistantEditor"
import { DEFAULT_SEARCH, type FileSearch } from "../draft"
import { LabelledSlider } from "./LabelledSlider"
import { ToolCard } from "./ToolCard"

/** Answers from documents: which are searched, and how. */
export function FileSearchTool({ draft, change }: PartProps) {
  const { t } = useTranslation("assistants")
  const ensureStore = useEnsureStore(draft.vectorStoreId, draft.name, (id) => change({ vectorStoreId: id }))
  const search = draft.fileSearch ?? DEFAULT_SEARCH
  return (
    <ToolCard
      icon={IconFileSearch}
      name={t("tools.fileSearch.name")}
      text={t("tools.fileSearch.text")}
      isOn={draft.fileSearch !== null}
      onToggle={(isOn) => change({ fileSearch: isOn ? DEFAULT_SEARCH : null })}
    >
      <StoreChoice value={draft.vectorStoreId} onChange={(id) => change({ vectorStoreId: id })} />
      <StoreFiles storeId={draft.vectorStoreId} ensureStore={ensureStore} hint={t("tools.fileSearch.drop")} />
      <Ranking search={search} onChange={(fileSearch) => change({ fileSearch })} />
    </ToolCard>
  )
}

/**
 * Files may be dropped before there is a store, several at once. The first makes it, named after the assistant, and the
 * rest wait for that one.
 */
function useEnsureStore(storeId: string | null, assistantName: string, onMade: (id: string) => void) {
  const { t } = useTranslation("assistants")
  const create = useCreateStore()
  const making = useRef<Promise<string> | null>(null)

  async function make(): Promise<string> {
    const name = t("tools.fileSearch.storeName", { name: assistantName || t("untitled") }).slice(0, 256)
    const store = await create.mutateAsync({ name })
    onMade(store.id)
    return store.id
  }

  return async () => {
    if (storeId) return storeId
    making.current ??= make().finally(() => {
      making.current = null
    })
    return making.current
  }
}

function StoreChoice({ value, onChange }: { value: string | null; onChange: (id: string | null) => void }) {
  const { t } = useTranslation("assistants")
  const { data: stores = [] } = useVectorStores()
  const known = stores.map((store) => ({ value: store.id, label: store.name || store.id }))
  const isKnown = value === null || known.some((store) => store.value === value)
  return (
    <Select
      label={t("tools.fileSearch.store")}
      placeholder={t("tools.fileSearch.noStore")}
      data={isKnown ? known : [...known, { value: value ?? "", label: value ?? "" }]}
      value={value}
      onChange={onChange}
      clearable
      searchable
      nothingFoundMessage={t("tools.fileSearch.noStoreFound")}
    />
  )
}

function Ranking({ search, onChange }: { search: FileSearch; onChange: (search: FileSearch) => void }) {
  const { t } = useTranslation("assistants")
  const [isOpen, { toggle }] = useDisclosure()
  return (
    <div>
      <Button
        size="compact-sm"
        variant="subtle"
        color="gray"
        ml={-8}
        onClick={toggle}
        aria-expanded={isOpen}
        rightSection={
          isOpen ? <IconChevronUp size={15} aria-hidden /> : <IconChevronDown size={15} aria-hidden />
        }
      >
        {t("tools.fileSearch.ranking")}
      </Button>
      <Collapse expanded={isOpen} transitionDuration={120}>
        <RankingFields search={search} onChange={onChange} />
      </Collapse>
    </div>
  )
}

function RankingFields({ search, onChange }: { search: FileSearch; onChange: (search: FileSearch) => void }) {
  const { t } = useTranslation("assistants")
  return (
    <Stack gap="md" pt="sm">
      <NumberInput
        label={t("tools.fileSearch.maxResults.label")}
        placeholder={t("tools.fileSearch.maxResults.auto")}
        min={1}
        max={50}
        allowDecimal={false}
        clampBehavior="strict"
        value={search.maxResults ?? ""}
        onChange={(value) => onChange({ ...search, maxResults: typeof value === "number" ? value : null })}
        maw={220}
      />
      <LabelledSlider
        label={t("tools.fileSearch.threshold.label")}
        text={t("tools.fileSearch.threshold.text")}
        min={0}
        max={1}
        step={0.05}
        value={search.scoreThreshold}
        onChange={(scoreThreshold) => onChange({ ...search, scoreThreshold })}
      />
      <WordsOrMeaning
        value={search.wordsPercent}
        onChange={(wordsPercent) => onChange({ ...search, wordsPercent })}
      />
    </Stack>
  )
}

function WordsOrMeaning({ value, onChange }: { value: number; onChange: (value: number) => void }) {
  const { t } = useTranslation("assistants")
  return (
    <div>
      <Input.Label labelElement="div" mb={6}>
        {t("tools.fileSearch.balance.label")}
      </Input.Label>
      <Slider
        min={0}
        max={100}
        step={5}
        value={value}
        onChange={onChange}
        label={null}
        thumbLabel={t("tools.fileSearch.balance.label")}
      />
      <Group justify="space-between" mt={6}>
        <Text size="xs" c="dimmed">
          {t("tools.fileSearch.balance.meaning")}
        </Text>
        <Text size="xs" c="dimmed">
          {t("tools.fileSearch.balance.words")}
        </Text>
      </Group>
    </div>
  )
}
