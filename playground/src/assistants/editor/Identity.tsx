import { Autocomplete, Stack, Text, Textarea, TextInput } from "@mantine/core"
import { useTranslation } from "react-i18next"
import type { PartProps } from "../AssistantEditor"
import { answering, useModels } from "../queries"

/** Who the assistant is, what it is told, and which model it thinks with. */
export function Identity({ draft, change, problem, isNew }: PartProps & { isNew: boolean }) {
  const { t } = useTranslation("assistants")
  return (
    <Stack gap="md">
      <TextInput
        label={t("fields.name.label")}
        placeholder={t("fields.name.placeholder")}
        value={draft.name}
        onChange={(event) => change({ name: event.currentTarget.value })}
        error={problem("name")}
        autoFocus={isNew}
      />
      <ModelField draft={draft} change={change} problem={problem} />
      <Textarea
        label={t("fields.instructions.label")}
        placeholder={t("fields.instructions.placeholder")}
        value={draft.instructions}
        onChange={(event) => change({ instructions: event.currentTarget.value })}
        error={problem("instructions")}
        autosize
        minRows={5}
        maxRows={18}
      />
      <TextInput
        label={t("fields.description.label")}
        placeholder={t("fields.description.placeholder")}
        value={draft.description}
        onChange={(event) => change({ description: event.currentTarget.value })}
        error={problem("description")}
      />
    </Stack>
  )
}

function ModelField({ draft, change, problem }: PartProps) {
  const { t } = useTranslation("assistants")
  const { data: models } = useModels()
  const isUnlisted = draft.model !== "" && models?.every(({ id }) => id !== draft.model)
  return (
    <div>
      <Autocomplete
        label={t("fields.model.label")}
        data={answering(models ?? [])}
        value={draft.model}
        onChange={(model) => change({ model })}
        error={problem("model")}
        // Whoever opens the list wants to see all models, not those that are spelt like the one at hand.
        filter={({ options }) => options}
        maxDropdownHeight={280}
      />
      {isUnlisted && (
        <Text size="xs" c="dimmed" mt={4}>
          {t("fields.model.unlisted", { model: draft.model })}
        </Text>
      )}
    </div>
  )
}
