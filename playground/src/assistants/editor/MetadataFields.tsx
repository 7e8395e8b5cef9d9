import { ActionIcon, Button, Group, Stack, Text, TextInput } from "@mantine/core"
import { IconPlus, IconX } from "@tabler/icons-react"
import { useTranslation } from "react-i18next"
import type { PartProps } from "../AssistantEditor"
import { LIMITS } from "../draft"

/** Pairs of the user's own, which programs can read. */
export function MetadataFields({ draft, change, problem }: PartProps) {
  const { t } = useTranslation("assistants")
  const pairs = draft.metadata

  function set(index: number, pair: [string, string]) {
    change({ metadata: pairs.toSpliced(index, 1, pair) })
  }

  return (
    <Stack gap="xs" align="stretch">
      {pairs.map(([key, value], index) => (
        <Group key={index} gap="xs" wrap="nowrap">
          <TextInput
            flex={2}
            aria-label={t("metadata.key", { number: index + 1 })}
            placeholder={t("metadata.keyPlaceholder")}
            value={key}
            onChange={(event) => set(index, [event.currentTarget.value, value])}
          />
          <TextInput
            flex={3}
            aria-label={t("metadata.value", { number: index + 1 })}
            placeholder={t("metadata.valuePlaceholder")}
            value={value}
            onChange={(event) => set(index, [key, event.currentTarget.value])}
          />
          <ActionIcon
            variant="subtle"
            color="gray"
            onClick={() => change({ metadata: pairs.toSpliced(index, 1) })}
            aria-label={t("metadata.remove", { key: key || index + 1 })}
          >
            <IconX size={16} />
          </ActionIcon>
        </Group>
      ))}
      {problem("metadata") && (
        <Text size="xs" c="var(--mantine-color-error)">
          {problem("metadata")}
        </Text>
      )}
      <Group>
        <Button
          size="xs"
          variant="default"
          leftSection={<IconPlus size={15} aria-hidden />}
          disabled={pairs.length >= LIMITS.metadataPairs}
          onClick={() => change({ metadata: [...pairs, ["", ""]] })}
        >
          {t("metadata.add")}
        </Button>
      </Group>
    </Stack>
  )
}
