import { useTranslation } from "react-i18next"
import { Page } from "../app/Page"

export function Component() {
  const { t } = useTranslation()
  return <Page title={t("navigation.files")}>{null}</Page>
}
