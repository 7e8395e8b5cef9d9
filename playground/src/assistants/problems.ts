import { useTranslation } from "react-i18next"
import { useFormat } from "../app/format"
import type { Problem } from "./draft"

/** Puts into words why a draft can't be saved. */
export function useProblemWords(): (problem: Problem) => string {
  const { t } = useTranslation("assistants")
  const { number } = useFormat()
  return (problem) => {
    switch (problem.kind) {
      case "tooLong":
        return t(`problems.tooLong.${problem.field}`, {
          limit: number(problem.limit),
          length: number(problem.length),
        })
      case "sameFunction":
      case "sameKey":
      case "longKey":
      case "longValue":
        return t(`problems.${problem.kind}`, { name: problem.name })
      case "noModel":
      case "badJson":
      case "schemaUnnamed":
      case "noKey":
      case "tooManyPairs":
        return t(`problems.${problem.kind}`)
    }
  }
}
