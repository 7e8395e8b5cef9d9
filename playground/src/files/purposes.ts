import { useTranslation } from "react-i18next"

const KNOWN = [
  "assistants",
  "assistants_output",
  "vision",
  "user_data",
  "batch",
  "fine-tune",
  "evals",
] as const

/** What a file is there for, in words; purposes that we do not know keep their name. */
export function usePurposeWords(): (purpose: string) => string {
  const { t } = useTranslation("files")
  return (purpose) => {
    const known = KNOWN.find((name) => name === purpose)
    return known ? t(`purpose.${known}`) : purpose
  }
}
