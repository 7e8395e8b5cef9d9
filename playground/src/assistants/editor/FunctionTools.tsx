import { ActionIcon, Button, Group, Paper, Text, UnstyledButton } from "@mantine/core"
import { IconMathFunction, IconPlus, IconTrash } from "@tabler/icons-react"
import { lazy, Suspense, useState } from "react"
import { useTranslation } from "react-i18next"
import type { PartProps } from "../AssistantEditor"
import type { FunctionDefinition } from "../draft"
import classes from "./FunctionTools.module.css"

const FunctionEditor = lazy(() => import("./FunctionEditor"))

/** Functions of the user's own program that the assistant may ask for. */
export function FunctionTools({ draft, change, problem }: PartProps) {
  const { t } = useTranslation("assistants")
  // The place of the function in the editor; the one after the last is a new one.
  const [edited, setEdited] = useState<number | null>(null)

  function keep(definition: FunctionDefinition) {
    if (edited === null) return
    change({ functions: draft.functions.toSpliced(edited, 1, definition) })
    setEdited(null)
  }

  return (
    <Paper withBorder radius="md" p="md">
      <Group justify="space-between" wrap="nowrap" align="flex-start">
        <Group gap="sm" wrap="nowrap" align="flex-start">
          <IconMathFunction size={20} stroke={1.6} className={classes.icon} aria-hidden />
          <div>
            <Text fw={550} size="sm">
              {t("tools.functions.name")}
            </Text>
            <Text size="sm" c="dimmed">
              {t("tools.functions.text")}
            </Text>
          </div>
        </Group>
        <Button
          size="xs"
          variant="default"
          flex="none"
          leftSection={<IconPlus size={15} aria-hidden />}
          onClick={() => setEdited(draft.functions.length)}
        >
          {t("tools.functions.add")}
        </Button>
      </Group>
      {draft.functions.length > 0 && (
        <ul className={classes.functions}>
          {draft.functions.map((definition, index) => (
            <li key={index} className={classes.function}>
              <UnstyledButton
                className={classes.open ?? ""}
                onClick={() => setEdited(index)}
                title={t("tools.functions.edit", { name: definition.name })}
              >
                <Text size="sm" ff="monospace" truncate>
                  {definition.name}
                </Text>
                {definition.description && (
                  <Text size="xs" c="dimmed" truncate>
                    {definition.description}
                  </Text>
                )}
              </UnstyledButton>
              <ActionIcon
                variant="subtle"
                color="gray"
                onClick={() => change({ functions: draft.functions.toSpliced(index, 1) })}
                aria-label={t("tools.functions.remove", { name: definition.name })}
                title={t("tools.functions.remove", { name: definition.name })}
              >
                <IconTrash size={16} />
              </ActionIcon>
            </li>
          ))}
        </ul>
      )}
      {problem("functions") && (
        <Text size="xs" c="var(--mantine-color-error)" mt="xs">
          {problem("functions")}
        </Text>
      )}
      {edited !== null && (
        <Suspense>
          <FunctionEditor
            definition={draft.functions[edited] ?? null}
            onKeep={keep}
            onClose={() => setEdited(null)}
          />
        </Suspense>
      )}
    </Paper>
  )
}
