import { Select, Stack } from "@mantine/core"
import { useTranslation } from "react-i18next"
import { JsonEditor } from "../../app/JsonEditor"
import type { PartProps } from "../AssistantEditor"
import type { AnswerForm, ReasoningEffort } from "../draft"
import { LabelledSlider } from "./LabelledSlider"

const FORMS: AnswerForm[] = ["auto", "text", "json_object", "json_schema"]
const EFFORTS: ReasoningEffort[] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]

/** How the model answers: in which form, how freely, after how much thought. */
export function AnswerSettings({ draft, change, problem }: PartProps) {
  const { t } = useTranslation("assistants")
  return (
    <Stack gap="lg">
      <Select
        label={t("answers.form.label")}
        data={FORMS.map((form) => ({ value: form, label: t(`answers.form.${form}`) }))}
        value={draft.answerForm}
        onChange={(form) => form && change({ answerForm: form as AnswerForm })}
        allowDeselect={false}
      />
      {draft.answerForm === "json_schema" && (
        <JsonEditor
          label={t("answers.schema.label")}
          description={t("answers.schema.text")}
          value={draft.answerSchema}
          onChange={(answerSchema) => change({ answerSchema })}
          error={problem("answerSchema")}
        />
      )}
      <LabelledSlider
        label={t("answers.temperature.label")}
        text={t("answers.temperature.text")}
        min={0}
        max={2}
        step={0.05}
        value={draft.temperature}
        onChange={(temperature) => change({ temperature })}
      />
      <LabelledSlider
        label={t("answers.topP.label")}
        text={t("answers.topP.text")}
        min={0}
        max={1}
        step={0.05}
        value={draft.topP}
        onChange={(topP) => change({ topP })}
      />
      <Select
        label={t("answers.effort.label")}
        description={t("answers.effort.text")}
        placeholder={t("answers.effort.unset")}
        data={EFFORTS.map((effort) => ({ value: effort, label: t(`answers.effort.${effort}`) }))}
        value={draft.reasoningEffort}
        onChange={(effort) => change({ reasoningEffort: effort as ReasoningEffort | null })}
        clearable
      />
    </Stack>
  )
}
