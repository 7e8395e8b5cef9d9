import { Button, Group, Modal, Stack, Text } from "@mantine/core"
import { useMemo, useState } from "react"
import { useTranslation } from "react-i18next"
import { JsonEditor } from "../../app/JsonEditor"
import type { FunctionDefinition } from "../draft"
import { EXAMPLES } from "../examples"
import { type FunctionProblem, readFunction } from "../functions"

interface Props {
  /** Null for a new function. */
  definition: FunctionDefinition | null
  onKeep: (definition: FunctionDefinition) => void
  onClose: () => void
}

/** One function's definition as JSON, checked while it is written. */
export default function FunctionEditor({ definition, onKeep, onClose }: Props) {
  const { t } = useTranslation("assistants")
  const { t: common } = useTranslation()
  const words = useFunctionWords()
  const [text, setText] = useState(() => (definition ? JSON.stringify(definition, null, 2) : ""))
  const read = useMemo(() => readFunction(text), [text])
  const isUntouched = text.trim() === ""

  return (
    <Modal
      opened
      onClose={onClose}
      size="lg"
      title={definition ? t("functionEditor.edit") : t("functionEditor.add")}
      closeButtonProps={{ "aria-label": common("actions.close") }}
    >
      <Stack gap="md">
        {!definition && (
          <Group gap="xs">
            <Text size="sm" c="dimmed">
              {t("functionEditor.examples")}
            </Text>
            {EXAMPLES.map((example) => (
              <Button
                key={example.name}
                size="compact-sm"
                variant="light"
                ff="monospace"
                onClick={() => setText(JSON.stringify(example, null, 2))}
              >
                {example.name}
              </Button>
            ))}
          </Group>
        )}
        <JsonEditor
          label={t("functionEditor.definition")}
          value={text}
          onChange={setText}
          error={read.problem && !isUntouched ? words(read.problem) : undefined}
        />
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            {common("actions.cancel")}
          </Button>
          <Button disabled={read.problem !== null} onClick={() => read.definition && onKeep(read.definition)}>
            {definition ? t("functionEditor.keep") : t("functionEditor.addIt")}
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}

function useFunctionWords(): (problem: FunctionProblem) => string {
  const { t } = useTranslation("assistants")
  return (problem) => {
    switch (problem.kind) {
      case "badJson":
        return t("functionProblems.badJson", { detail: problem.detail })
      case "badSchema":
        return t("functionProblems.badSchema", { path: problem.path, detail: problem.detail })
      case "openObject":
        return t("functionProblems.openObject", { path: problem.path })
      case "notRequired":
        return t("functionProblems.notRequired", { path: problem.path, name: problem.name })
      case "unknownRequired":
        return t("functionProblems.unknownRequired", { path: problem.path, name: problem.name })
      case "notAnObject":
      case "noName":
      case "badName":
      case "longDescription":
      case "parametersNotObject":
        return t(`functionProblems.${problem.kind}`)
    }
  }
}
